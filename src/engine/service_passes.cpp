// What is computed of examples: requests cut into passes as a round of training is, begun again in smaller ones when
// memory ends. Gradients that wait from earlier calls are put aside meanwhile, for a pass that failed may have added to
// them.
#include <ATen/ATen.h>
#include <c10/core/CachingDeviceAllocator.h>

#include <algorithm>
#include <numeric>

#include "core/error.h"
#include "engine/out_of_memory.h"
#include "engine/service.h"
#include "kernels/torch/reproducible.h"
#include "models/objectives/token_losses.h"

namespace finetune {
namespace {

constexpr std::int64_t kFewestServedTokens = 8;  // as run.tokens_per_pass

Batch batch_of(const PassRequest& request, std::int64_t token_base) {
  Batch batch;
  for (const TermedExample& one : request.examples) {
    batch.add(one.example);
    batch.terms.emplace_back(one.terms);
  }
  batch.divisor = request.divisor;
  batch.token_base = token_base;
  return batch;
}

// Of the chunk's examples, in the order of their loss rows.
void take_logprobs(const Chunk& chunk, const float* nll, const Batch& batch,
                   std::vector<std::vector<float>>& logprobs) {
  for (std::size_t i = chunk.first; i < chunk.first + chunk.count; ++i) {
    for (std::int64_t row = batch.examples[i].loss_tokens(); row > 0; --row) logprobs[i].push_back(-*nll++);
  }
}

}  // namespace

struct Service::Round {
  std::vector<PackTrial> trials;
  std::vector<Batch> batches;
  std::vector<std::vector<std::int64_t>> lengths;
};

// As it is evaluated where it does not train: nothing is dropped, and there is no noise. Without a slot no projection
// is adapted.
PackTrial Service::trial_of(const PassRequest& request, bool trains) const {
  PackTrial trial;
  if (request.slot) trial = slots_.at(*request.slot).trial;
  if (!trains) trial.dropout = trial.neftune = 0;
  return trial;
}

Service::Round Service::round_of(std::span<const PassRequest> requests, const std::vector<std::size_t>& going,
                                 bool trains) const {
  Round round;
  for (const std::size_t i : going) {
    const PassRequest& request = requests[i];
    round.trials.push_back(trial_of(request, trains));
    round.batches.push_back(batch_of(request, trains ? slots_.at(*request.slot).pending_tokens : 0));
    round.lengths.push_back(round.batches.back().lengths());
  }
  return round;
}

void Service::run_passes(std::span<const PassRequest> requests, const std::vector<std::size_t>& going, bool trains,
                         std::vector<PassAnswer>& answers) {
  const Round round = round_of(requests, going, trains);
  const std::size_t count = going.size(), group = size_.together ? std::max<std::size_t>(1, count) : 1;
  const DecoderBase& base = store_.base(0);
  const std::int64_t fewest = ops::fewest_product_rows(device_);
  at::Tensor losses_N = at::zeros({static_cast<std::int64_t>(count)}, at::TensorOptions(at::kDouble).device(device_));
  for (std::size_t first = 0; first < count; first += group) {
    const std::span batches = std::span(round.batches).subspan(first, group);
    for (const Pass& pass : plan_passes(std::span(round.lengths).subspan(first, group), size_.tokens)) {
      check_interrupt();
      under_way_ = first;
      tokens_under_way_ = pass.tokens;
      const PackData data = build_pack_data(pass, std::span(round.trials).subspan(first, group), batches, fewest,
                                            pack_model(base.options));
      const auto figures = trains ? runner_.train(base, store_.trainables(0), 0, data)
                                  : runner_.evaluate(base, store_.trainables(0).bank, data, token_losses());
      ops::row_sums(figures.front().values_N, row_ranges(pass, data, first), losses_N);
      at::Tensor nll_N;  // on the host, where somebody asks
      for (std::size_t c = 0; c < pass.chunks.size(); ++c) {
        const std::size_t place = going[first + pass.chunks[c].trial];
        if (!requests[place].logprobs) continue;
        if (!nll_N.defined()) nll_N = figures.back().values_N.to(at::kCPU, at::kFloat);
        take_logprobs(pass.chunks[c], nll_N.const_data_ptr<float>() + data.rows[c].first, batches[pass.chunks[c].trial],
                      answers[place].logprobs);
      }
    }
  }
  const at::Tensor losses = losses_N.cpu();
  for (std::size_t k = 0; k < count; ++k) {
    const Batch& batch = round.batches[k];
    PassAnswer& answer = answers[going[k]];
    answer.loss = losses.const_data_ptr<double>()[k] / batch.divisor.value_or(static_cast<double>(batch.loss_tokens));
    answer.tokens = batch.tokens;
    answer.loss_tokens = batch.loss_tokens;
  }
}

std::vector<PassAnswer> Service::run(std::span<const PassRequest> requests, bool trains) {
  const ops::UseKernels kernels(options_.kernels);
  const PassSize before = size_;
  std::vector<PassAnswer> answers(requests.size());
  std::vector<std::size_t> going(requests.size());
  std::iota(going.begin(), going.end(), 0);
  std::map<std::int64_t, at::Tensor> aside;  // gradients that wait, by slot
  const auto row_of = [&](std::size_t i) { return store_.grads_SP().select(0, *requests[i].slot); };
  const auto put_aside = [&](std::size_t i) {
    if (!trains || slots_.at(*requests[i].slot).pending_tokens == 0) return true;
    return fits([&] { aside[*requests[i].slot] = row_of(i).clone(); });
  };
  const auto put_back = [&](std::size_t i) {
    if (!trains) return;
    const auto kept = aside.find(*requests[i].slot);
    if (kept == aside.end())
      row_of(i).zero_();
    else
      row_of(i).copy_(kept->second);
  };
  std::erase_if(going, [&](std::size_t i) {
    if (put_aside(i)) return false;
    answers[i].failure = "out of memory for a copy of the gradients that wait, which stay";
    return true;
  });
  with_memory(
      [&] {
        for (const std::size_t i : going) answers[i].logprobs.assign(requests[i].examples.size(), {});
        try {
          run_passes(requests, going, trains, answers);
        } catch (const Interrupted&) {
          for (const std::size_t i : going) put_back(i);
          throw;
        }
      },
      [&] {
        for (const std::size_t i : going) put_back(i);
        if (shrink_passes()) return;
        const std::size_t alone = going.at(under_way_);
        answers[alone] = {.failure =
                              "out of memory with a single example (" + std::to_string(tokens_under_way_) + " tokens)"};
        std::erase(going, alone);
        size_ = before;
        give_buffers_back();
      });
  say_if_fewer(before.tokens);
  for (const std::size_t i : going) {
    if (!requests[i].logprobs) answers[i].logprobs.clear();
    if (!trains) continue;
    Slot& slot = slots_.at(*requests[i].slot);
    slot.pending_tokens += answers[i].tokens;
    slot.pending_loss += answers[i].loss;
  }
  return answers;
}

std::vector<PassAnswer> Service::forward_backward(std::span<const PassRequest> requests) {
  return run(requests, true);
}

std::vector<PassAnswer> Service::forward(std::span<const PassRequest> requests) {
  return run(requests, false);
}

void Service::give_buffers_back() const {
  runner_.release({});
  if (!device_.is_cpu()) at::getDeviceAllocator(device_.type())->emptyCache();
}

// False where passes are as small as they get.
bool Service::shrink_passes() {
  const bool smaller = size_.tokens > kFewestServedTokens;
  const bool shrunk = smaller || size_.together;
  size_ = {std::max(kFewestServedTokens, size_.tokens / 2), size_.together && smaller};
  give_buffers_back();
  return shrunk;
}

// Work beside the passes: once more without their buffers. False where there is not enough memory even then.
bool Service::fits(const std::function<void()>& work) const {
  int tries = 0;
  with_memory(
      [&] {
        if (tries < 2) work();
      },
      [&] {
        ++tries;
        give_buffers_back();
      });
  return tries < 2;
}

void Service::check_interrupt() const {
  if (options_.interrupted && options_.interrupted()) throw Interrupted();
}

void Service::say_if_fewer(std::int64_t before) const {
  if (size_.tokens == before) return;
  const std::string now = std::to_string(size_.tokens);
  options_.say(device_.str() + ": out of memory; passes of " + now + " tokens from here on, not " +
               std::to_string(before) + "; run.tokens_per_pass=" + now + " spares the try");
}

}  // namespace finetune
