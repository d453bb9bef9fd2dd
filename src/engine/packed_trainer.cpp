#include "engine/packed_trainer.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/schedule.h"
#include "models/adapter_bank.h"
#include "models/peft.h"

namespace finetune {

// One trial's batch of one step.
struct PackedTrainer::Batch {
  std::vector<std::int64_t> examples;
  std::vector<std::int64_t> lengths;
  std::int64_t tokens = 0, loss_tokens = 0;
  double nll = 0;  // sum over loss tokens
};

namespace {

double sum_range(const at::Tensor& values_N, std::pair<std::int64_t, std::int64_t> range) {
  const float* values = values_N.const_data_ptr<float>();
  double sum = 0;
  for (std::int64_t i = range.first; i < range.second; ++i) sum += static_cast<double>(values[i]);
  return sum;
}

std::vector<std::vector<std::int64_t>> all_lengths(std::span<const std::vector<std::int64_t>* const> lists) {
  std::vector<std::vector<std::int64_t>> lengths;
  for (const auto* list : lists) lengths.push_back(*list);
  return lengths;
}

}  // namespace

PackedTrainer::PackedTrainer(ParameterStore& store, std::span<const Example> train, std::span<const Example> valid,
                             const TrainerOptions& options)
    : store_(store), train_(train), valid_(valid), options_(options) {
  for (const auto& example : valid_) valid_loss_tokens_ += example.loss_tokens();
  for (std::int64_t slot = store_.slots(); slot > 0; --slot) free_.push_back(slot - 1);
}

PackedTrainer::Resident& PackedTrainer::find(TrialId trial) {
  return residents_.at(trial);
}
const PackedTrainer::Resident& PackedTrainer::find(TrialId trial) const {
  return residents_.at(trial);
}

PackedTrainer::Resident& PackedTrainer::place(TrialId trial, const TrainConfig& config) {
  const std::int64_t slot = free_.back();
  free_.pop_back();
  Resident resident{.id = trial,
                    .config = config,
                    .slot = slot,
                    .order = BatchOrder(static_cast<std::int64_t>(train_.size()), config.batch_size, options_.shuffle,
                                        static_cast<std::uint64_t>(config.seed))};
  return residents_.emplace(trial, std::move(resident)).first->second;
}

void PackedTrainer::admit(TrialId trial, const TrainConfig& config) {
  store_.initialize(place(trial, config).slot, config);
}

void PackedTrainer::release(TrialId trial) {
  free_.push_back(find(trial).slot);
  residents_.erase(trial);
}

std::vector<StepResult> PackedTrainer::step(std::span<const TrialId> ids) {
  std::vector<Resident*> trials;
  for (const TrialId id : ids) trials.push_back(&find(id));
  std::vector<Batch> batches = next_batches(trials);
  forward_backward(trials, batches);
  const std::vector<double> norms = gradient_norms(trials);
  update(trials, norms, batches);

  std::vector<StepResult> results;
  for (std::size_t i = 0; i < trials.size(); ++i) {
    Resident& trial = *trials[i];
    ++trial.step;
    const double loss = batches[i].nll / static_cast<double>(batches[i].loss_tokens);
    results.push_back({.trial = trial.id,
                       .step = trial.step,
                       .tokens = batches[i].tokens,
                       .train_loss = loss,
                       .gradient_norm = norms[i],
                       .learning_rate = learning_rate_at(trial.config, trial.step),
                       .finite = std::isfinite(loss) && std::isfinite(norms[i])});
  }
  return results;
}

std::vector<PackedTrainer::Batch> PackedTrainer::next_batches(std::span<Resident* const> trials) {
  std::vector<Batch> batches;
  for (Resident* trial : trials) {
    Batch batch{.examples = trial->order.batch(trial->step + 1)};
    for (const std::int64_t index : batch.examples) {
      const Example& example = train_[static_cast<std::size_t>(index)];
      batch.lengths.push_back(static_cast<std::int64_t>(example.ids.size()));
      batch.tokens += batch.lengths.back();
      batch.loss_tokens += example.loss_tokens();
    }
    batches.push_back(std::move(batch));
  }
  return batches;
}

PackTrial PackedTrainer::pack_trial(const Resident& trial, bool training) const {
  const LoraConfig& lora = trial.config.lora;
  const auto rank = static_cast<double>(lora.rank);
  return {.slot = trial.slot,
          .rank = computed_rank(lora.rank),
          .scale = static_cast<float>(lora.alpha / (lora.rslora ? std::sqrt(rank) : rank)),
          .dropout = training ? lora.dropout : 0.0,
          .seed = static_cast<std::uint64_t>(trial.config.seed),
          .step = trial.step + 1,
          .loss_scale = 0,
          .targets = store_.targets(trial.config),
          .examples = training ? train_ : valid_,
          .batch = {}};
}

// Trials that cannot share a pass (full fine-tuning) take turns.
void PackedTrainer::forward_backward(std::span<Resident* const> trials, std::vector<Batch>& batches) {
  const std::size_t together = store_.packs_together() ? trials.size() : 1;
  for (std::size_t first = 0; first < trials.size(); first += together) {
    std::vector<PackTrial> parts;
    std::vector<const std::vector<std::int64_t>*> lengths;
    for (std::size_t i = first; i < first + together; ++i) {
      parts.push_back(pack_trial(*trials[i], true));
      parts.back().loss_scale = 1.0 / static_cast<double>(batches[i].loss_tokens);
      parts.back().batch = batches[i].examples;
      lengths.push_back(&batches[i].lengths);
    }
    const DecoderBase& base = store_.base(trials[first]->slot);
    const Trainables trainables = store_.trainables(trials[first]->slot);
    for (const Pass& pass : plan_passes(all_lengths(lengths), options_.tokens_per_pass)) {
      const BuiltPack built = build_pack(pass, parts, base.embed_VD.device());
      const PackLosses losses = train_pack(base, built.pack, trainables, workspace_);
      const at::Tensor nll_N = losses.nll_N.cpu();
      for (std::size_t c = 0; c < pass.chunks.size(); ++c) {
        batches[first + pass.chunks[c].trial].nll += sum_range(nll_N, built.rows[c]);
      }
    }
  }
}

std::vector<double> PackedTrainer::gradient_norms(std::span<Resident* const> trials) {
  std::vector<ops::SlotPieces> slots;
  for (const Resident* trial : trials) slots.push_back({.slot = trial->slot, .pieces = store_.pieces(trial->config)});
  return ops::gradient_norms(store_.grads_SP(), slots);
}

void PackedTrainer::update(std::span<Resident* const> trials, std::span<const double> norms,
                           std::span<const Batch> batches) {
  std::vector<ops::SlotUpdate> updates;
  for (std::size_t i = 0; i < trials.size(); ++i) {
    Resident& trial = *trials[i];
    const TrainConfig& c = trial.config;
    const bool finite = std::isfinite(norms[i]) && std::isfinite(batches[i].nll);
    if (finite) ++trial.optimizer_steps;
    const double clip = c.max_grad_norm > 0 ? std::min(1.0, c.max_grad_norm / (norms[i] + 1e-6)) : 1.0;
    updates.push_back({.slot = trial.slot,
                       .learning_rate = learning_rate_at(c, trial.step + 1),
                       .beta1 = c.beta1,
                       .beta2 = c.beta2,
                       .epsilon = c.epsilon,
                       .weight_decay = c.weight_decay,
                       .gradient_scale = clip,
                       .step = trial.optimizer_steps,
                       .skip = !finite,
                       .decayed = store_.decayed(c)});
  }
  ops::adamw(store_.params_SP(), store_.grads_SP(), store_.first_SP(), store_.second_SP(), updates);
  for (const Resident* trial : trials) store_.updated(trial->slot);
}

std::vector<EvalResult> PackedTrainer::evaluate(std::span<const TrialId> ids) {
  std::vector<Resident*> trials;
  for (const TrialId id : ids) trials.push_back(&find(id));
  std::vector<EvalResult> results;
  const std::size_t together = store_.packs_together() ? trials.size() : 1;
  for (std::size_t first = 0; first < trials.size(); first += together) {
    run_evaluation(std::span(trials).subspan(first, together), results);
  }
  return results;
}

void PackedTrainer::run_evaluation(std::span<Resident* const> trials, std::vector<EvalResult>& results) {
  std::vector<std::int64_t> all(valid_.size()), lengths;
  std::iota(all.begin(), all.end(), std::int64_t{0});
  for (const auto& example : valid_) lengths.push_back(static_cast<std::int64_t>(example.ids.size()));
  std::vector<PackTrial> parts;
  for (const Resident* trial : trials) {
    parts.push_back(pack_trial(*trial, false));
    parts.back().batch = all;
  }
  std::vector<double> nll(trials.size(), 0.0);
  std::vector<std::int64_t> correct(trials.size(), 0);
  const DecoderBase& base = store_.base(trials.front()->slot);
  const Trainables trainables = store_.trainables(trials.front()->slot);
  const std::vector<std::vector<std::int64_t>> all_trials(trials.size(), lengths);
  for (const Pass& pass : plan_passes(all_trials, options_.tokens_per_pass)) {
    const BuiltPack built = build_pack(pass, parts, base.embed_VD.device());
    const PackLosses losses = evaluate_pack(base, built.pack, trainables.bank, workspace_);
    const at::Tensor nll_N = losses.nll_N.cpu(), correct_N = losses.correct_N.cpu();
    for (std::size_t c = 0; c < pass.chunks.size(); ++c) {
      const auto [begin, end] = built.rows[c];
      nll[pass.chunks[c].trial] += sum_range(nll_N, built.rows[c]);
      const auto* right = correct_N.const_data_ptr<std::uint8_t>();
      correct[pass.chunks[c].trial] += std::accumulate(right + begin, right + end, std::int64_t{0});
    }
  }
  for (std::size_t i = 0; i < trials.size(); ++i) {
    const auto tokens = static_cast<double>(valid_loss_tokens_);
    results.push_back(
        {.trial = trials[i]->id, .loss = nll[i] / tokens, .token_accuracy = static_cast<double>(correct[i]) / tokens});
  }
}

void PackedTrainer::change(TrialId trial, const TrainConfig& config) {
  find(trial).config = config;
}

void PackedTrainer::copy(TrialId from, TrialId to, const TrainConfig& config) {
  const Resident& donor = find(from);
  Resident& trial = find(to);
  store_.copy(donor.slot, trial.slot);
  trial.optimizer_steps = donor.optimizer_steps;
  trial.config = config;
}

std::shared_ptr<const TrialImage> PackedTrainer::capture(TrialId trial) const {
  const Resident& resident = find(trial);
  auto image = std::make_shared<TorchImage>();
  image->slot = store_.capture(resident.slot);
  image->step = resident.step;
  image->optimizer_steps = resident.optimizer_steps;
  return image;
}

void PackedTrainer::restore(TrialId trial, const TrainConfig& config, const TrialImage& image) {
  const auto& torch_image = dynamic_cast<const TorchImage&>(image);
  Resident& resident = place(trial, config);
  store_.restore(resident.slot, torch_image.slot);
  resident.step = torch_image.step;
  resident.optimizer_steps = torch_image.optimizer_steps;
}

void PackedTrainer::copy_from_image(const TrialImage& image, TrialId to, const TrainConfig& config) {
  const auto& torch_image = dynamic_cast<const TorchImage&>(image);
  Resident& trial = find(to);
  store_.restore(trial.slot, torch_image.slot);
  trial.optimizer_steps = torch_image.optimizer_steps;
  trial.config = config;
}

}  // namespace finetune
