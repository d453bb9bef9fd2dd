#include "engine/admission.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "core/number.h"
#include "kernels/torch/backend.h"
#include "models/adapter_bank.h"
#include "models/generate/kv_cache.h"

namespace finetune {
namespace {

// Enough tokens that the matrix products run at full rate: measured on CPU (tests/bench/results), napkin on a GPU
// (reference: 8 to 16 thousand tokens fill one for models up to 2B).
constexpr std::int64_t kCpuTokensPerPass = 2048, kGpuTokensPerPass = 16384;

// What is the same for all estimates of a session; tokens and images are the caller's.
MemoryPlan memory_plan(const Session& session, std::int64_t slots, at::Device device) {
  const StoreOptions options = store_options(session, slots);
  return {.slots = slots,
          .rank = computed_rank(options.max_rank),
          .targets = options.targets,
          .magnitudes = options.magnitudes,
          .saved = options.saved,
          .full = session.config.train.full(),
          .element_bytes = static_cast<std::int64_t>(at::elementSize(session.model.checkpoint.dtype)),
          .quantization = session.model.checkpoint.quantization,
          .logits_per_chunk = ops::logits_per_chunk(device),
          .composed = !device.is_cpu(),
          .program = session.program_bytes};
}

// Tokens and loss tokens of the largest pass that a round of `slots` trials fills.
std::pair<std::int64_t, std::int64_t> largest_pass(const Session& session, std::int64_t slots) {
  std::int64_t batch = session.config.train.batch_size;
  for (const auto& parameter : session.config.search) {
    if (parameter.name != "train.batch_size") continue;
    batch = std::max(batch, static_cast<std::int64_t>(parameter.high));
    for (const auto& choice : parameter.choices) batch = std::max(batch, static_cast<std::int64_t>(as_number(choice)));
  }
  const auto per_example = [](std::int64_t tokens, const Dataset& data) {
    return static_cast<double>(tokens) / static_cast<double>(std::max<std::size_t>(1, data.examples.size()));
  };
  const auto in_round = [&](std::int64_t train, std::int64_t valid) {
    const double of_batch = per_example(train, session.data.train) * static_cast<double>(batch);
    return static_cast<double>(slots) * std::max(of_batch, static_cast<double>(valid));
  };
  const double tokens = std::max(1.0, in_round(session.data.train.tokens, session.data.valid.tokens));
  const double rows = in_round(session.data.train.loss_tokens, session.data.valid.loss_tokens);
  const double share = std::min(1.0, static_cast<double>(session.tokens_per_pass) / tokens);
  return {static_cast<std::int64_t>(share * tokens), static_cast<std::int64_t>(share * rows)};
}

// Keys and values of the evaluator that has most of them.
std::int64_t evaluation_cache(const Session& session, std::int64_t trials, at::Device device) {
  const std::int64_t block = KvCache::bytes_per_block(session.model.checkpoint.options, session.model.checkpoint.dtype);
  std::int64_t most = 0;
  for (const auto& evaluator : session.evaluators) {
    const EvaluatorWork work = evaluator->work();
    const std::int64_t one = blocks_of(work.longest) * block;
    most = std::max(most, std::max(one, std::min(evaluation_cache_bytes(device), one * work.sequences * trials)));
  }
  return most;
}

MemoryNeed need_of(const Session& session, const MemoryShare& share, std::int64_t slots) {
  const auto lanes = static_cast<std::int64_t>(session.model.devices.size());
  const std::int64_t here = (slots + lanes - 1) / lanes * share.lanes;
  const MemoryEstimate estimate = session_memory(session, here, share.device);
  // Room is left for fragmentation, and on the machine for others.
  const bool host = share.device.is_cpu();
  return {.share = share,
          .slots = here,
          .estimate = estimate,
          .to_come = estimate.to_come(host),
          .usable = host ? share.free / 4 * 3 : share.free / 10 * 9};
}

}  // namespace

std::int64_t choose_tokens_per_pass(const Session& session) {
  const bool gpu =
      std::ranges::any_of(session.model.devices, [](const at::Device& device) { return !device.is_cpu(); });
  std::int64_t tokens = gpu ? kGpuTokensPerPass : kCpuTokensPerPass;
  for (const MemoryShare& share : memory_shares(session.model.devices, session.free_memory))
    tokens = fit_tokens_per_pass(session.model.checkpoint.options, memory_plan(session, 1, share.device),
                                 share.free / 2, tokens);
  return tokens;
}

MemoryEstimate session_memory(const Session& session, std::int64_t slots, at::Device device) {
  MemoryPlan plan = memory_plan(session, slots, device);
  // Full fine-tuning takes turns: a pass holds one trial.
  std::tie(plan.tokens_per_pass, plan.loss_rows_per_pass) = largest_pass(session, plan.full ? 1 : slots);
  plan.cache = evaluation_cache(session, slots, device);
  // The best state of each, and while a save is written the present one too.
  plan.images = session.config.run.save_every == 0 ? slots : 2 * slots;
  plan.lanes = std::max<std::int64_t>(1, std::ranges::count(session.model.devices, device));  // they share its memory
  return estimate_memory(session.model.checkpoint.options, plan);
}

std::int64_t wanted_trials(const RunConfig& config) {
  // More trials side by side than this no longer make a pass fuller, and asynchronous halving learns from what ended.
  const std::int64_t rule = config.train.full() ? 4 : 16;
  return std::min(config.tune.concurrent.value_or(rule), config.tune.trials);
}

std::vector<MemoryNeed> memory_needs(const Session& session, std::int64_t slots) {
  std::vector<MemoryNeed> needs;
  for (const MemoryShare& share : memory_shares(session.model.devices, session.free_memory))
    needs.push_back(need_of(session, share, slots));
  return needs;
}

std::int64_t resident_trials(Session& session) {
  const RunConfig& config = session.config;
  const std::int64_t wanted = wanted_trials(config);
  std::int64_t fit = wanted;
  std::optional<MemoryShare> tightest;
  for (const MemoryShare& share : memory_shares(session.model.devices, session.free_memory)) {
    const auto fits = [&](std::int64_t trials) { return need_of(session, share, trials + 1).fits(); };
    const std::int64_t here = slots_that_fit(fit, fits);
    if (here < fit) tightest = share;
    fit = here;
  }
  if (config.tune.concurrent && tightest) {
    session.notes.push_back(
        fmt::format("tune.concurrent = {} lowered to {}: {} trials need {} MiB on {}, which has {} MiB free; shorter "
                    "data.max_length, a lower rank or a lower run.tokens_per_pass make room",
                    *config.tune.concurrent, fit, wanted, need_of(session, *tightest, wanted + 1).to_come >> 20,
                    tightest->device.str(), tightest->free >> 20));
  }
  return fit;
}

}  // namespace finetune
