#include "engine/service.h"

#include <ATen/ATen.h>

#include <cmath>
#include <utility>

#include "core/error.h"
#include "core/text.h"
#include "engine/out_of_memory.h"
#include "engine/slot_trial.h"
#include "engine/torch_image.h"
#include "kernels/torch/reproducible.h"
#include "models/objectives/token_losses.h"

namespace finetune {
namespace {

// By what of a configuration the service would have to be larger; "" where it has room.
std::string too_small(const StoreOptions& room, const SlotOptions& slot, const ModuleRanks& modules) {
  const auto lacks = [](const std::string& key, const std::string& has) {
    return key + ": the service has room for " + has + " (train.lora." + key + " when it was started)";
  };
  const std::int64_t ranks = slot.pissa ? room.max_rank / 2 : room.max_rank;
  if (slot.stored_rank() > room.max_rank)
    return lacks("rank", std::to_string(ranks) + ", not for " + std::to_string(slot.rank));
  std::vector<std::string> missing;
  for (const Projection p : slot.targets.members()) {
    if (!room.targets.has(p)) missing.emplace_back(name_of(p));
  }
  if (!missing.empty()) return lacks("targets", "other modules than " + join(missing, ", "));
  if (slot.dora && !room.magnitudes) return lacks("dora", "no magnitudes");
  if (slot.pissa && !room.principal) return lacks("init", "no adapters that begin as pissa");
  if (slot.saved.embed_tokens > room.saved.embed_tokens || slot.saved.lm_head > room.saved.lm_head)
    return lacks("modules_to_save", "no such modules");
  if (!modules.empty() && !room.scales) return lacks("rank_pattern", "no modules of other ranks or scales");
  return "";
}

}  // namespace

Service::Service(ParameterStore& store, ServiceOptions options)
    : store_(store),
      options_(std::move(options)),
      device_(store.params_SP().device()),
      reproducible_(options_.reproducible && !device_.is_cpu() ? std::make_unique<const ops::ReproducibleSums>()
                                                               : nullptr),
      runner_(device_, PassOptions{.objective = &token_losses()}),
      size_{options_.tokens_per_pass, true} {}

std::vector<SlotState> Service::state() const {
  std::vector<SlotState> states;
  for (const auto& [number, slot] : slots_)
    states.push_back({number, slot.config, slot.trial.step - 1, slot.pending_tokens});
  return states;
}

std::int64_t Service::open(const TrainConfig& config, const AdapterTensors* start) {
  std::int64_t number = 0;
  while (slots_.contains(number)) ++number;
  if (number == slots())
    throw bad_input("", "no slot is free: all " + std::to_string(slots()) + " are open; close one, or start the " +
                            "service with more");
  Slot slot{.config = config, .options = store_.slot_options(config)};
  if (const std::string key = too_small(options_.room, slot.options, slot.options.modules); !key.empty())
    throw bad_input("", key);
  slot.trial.slot = number;
  set_from_config(slot.trial, config, slot.options);
  store_.configure(number, config);
  const auto begin = [&] {
    if (start != nullptr)
      store_.load(number, config, *start);
    else
      store_.initialize(number, config);
  };
  if (!fits(begin)) throw bad_input("", "out of memory for the slot's weights");
  slots_.emplace(number, std::move(slot));
  return number;
}

void Service::close(std::int64_t slot) {
  slots_.erase(slot);
}

at::Tensor Service::norms_of(std::span<const StepRequest> requests) const {
  std::vector<ops::SlotPieces> pieces;
  for (const StepRequest& request : requests)
    pieces.push_back({.slot = request.slot, .pieces = store_.pieces(slots_.at(request.slot).config)});
  at::Tensor norms_N = at::zeros({std::ssize(requests)}, at::TensorOptions(at::kDouble).device(device_));
  ops::gradient_norms(store_.grads_SP(), ops::make_norm_plan(std::move(pieces), device_), norms_N);
  return norms_N;
}

void Service::update(std::span<const StepRequest> requests, const at::Tensor& norms_N) {
  std::vector<ops::SlotUpdate> updates;
  std::vector<double> losses;
  for (const StepRequest& request : requests) {
    const Slot& slot = slots_.at(request.slot);
    losses.push_back(slot.pending_loss);
    updates.push_back({.slot = request.slot,
                       .learning_rate = request.learning_rate,
                       .beta1 = request.beta1,
                       .beta2 = request.beta2,
                       .epsilon = request.epsilon,
                       .weight_decay = request.weight_decay,
                       .max_norm = request.max_grad_norm,
                       .decayed = store_.decayed(slot.config)});
  }
  const at::Tensor losses_N = at::tensor(losses, at::kDouble).to(device_);
  ops::UpdateProgress done;  // a try that ended for want of memory is gone on with, not begun again
  if (!fits([&] { ops::adamw(store_.optimizer_state(), updates, norms_N, losses_N, done); }))
    throw failed(device_.str(), "out of memory for an update");
  for (const StepRequest& request : requests) store_.updated(request.slot);
}

std::vector<StepAnswer> Service::optim_step(std::span<const StepRequest> requests) {
  const ops::UseKernels kernels(options_.kernels);
  std::vector<StepAnswer> answers(requests.size());
  std::vector<StepRequest> going;
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    if (slots_.at(requests[i].slot).pending_tokens == 0) {
      answers[i].failure = "there are no gradients: forward_backward comes before optim_step";
      continue;
    }
    going.push_back(requests[i]);
    places.push_back(i);
  }
  if (going.empty()) return answers;
  at::Tensor norms_N;
  if (!fits([&] { norms_N = norms_of(going); })) throw failed(device_.str(), "out of memory for gradient norms");
  update(going, norms_N);
  const at::Tensor norms = norms_N.cpu();
  for (std::size_t i = 0; i < going.size(); ++i) {
    Slot& slot = slots_.at(going[i].slot);
    StepAnswer& answer = answers[places[i]];
    answer.gradient_norm = norms.const_data_ptr<double>()[i];
    answer.step = slot.trial.step++;
    if (!std::isfinite(answer.gradient_norm) || !std::isfinite(slot.pending_loss))
      answer.failure = "loss or gradients are not finite: step " + std::to_string(answer.step) +
                       " was skipped, weights and moments stay";
    slot.pending_tokens = 0;
    slot.pending_loss = 0;
  }
  return answers;
}

PeftAdapter Service::adapter(std::int64_t slot) const {
  SlotImage image = store_.capture(slot);
  for (at::Tensor* rows : {&image.params_P, &image.first_P, &image.second_P}) *rows = rows->cpu();
  return peft_adapter_of(store_, slots_.at(slot).config, image);
}

void Service::load(std::int64_t number, const AdapterTensors& adapter) {
  Slot& slot = slots_.at(number);
  store_.load(number, slot.config, adapter);
  slot.trial.step = 1;
  slot.pending_tokens = 0;
  slot.pending_loss = 0;
}

}  // namespace finetune
