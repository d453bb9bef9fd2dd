#include "engine/admission.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "config/lora_rules.h"
#include "core/number.h"
#include "kernels/torch/backend.h"
#include "models/adapter_bank.h"
#include "models/generate/kv_cache.h"
#include "models/weights.h"

namespace finetune {
namespace {

// Enough tokens that the matrix products run at full rate: measured on CPU (tests/bench/results), napkin on a GPU
// (reference: 8 to 16 thousand tokens fill one for models up to 2B).
constexpr std::int64_t kCpuTokensPerPass = 2048, kGpuTokensPerPass = 16384;

std::int64_t element_bytes(const MemoryCase& one) {
  return static_cast<std::int64_t>(at::elementSize(one.dtype));
}

const std::vector<at::Device>& devices_of(const Session& session, const MemoryCase& one) {
  return one.devices.empty() ? session.model.devices : one.devices;
}

// What is the same for all estimates of a session; tokens and images are the caller's.
MemoryPlan memory_plan(const Session& session, std::int64_t slots, at::Device device, const MemoryCase& one) {
  const StoreOptions options = store_options(session, slots);
  return {.slots = slots,
          .rank = computed_rank(options.max_rank),
          .targets = options.targets,
          .magnitudes = options.magnitudes,
          .principal = some_trial_is_pissa(session.config) ? options.max_rank / 2 : 0,
          .saved = options.saved,
          .full = one.full,
          .element_bytes = element_bytes(one),
          .activation_bytes = static_cast<std::int64_t>(at::elementSize(activation_dtype(one.dtype, device.type()))),
          .quantization = one.quantization,
          .logits_per_chunk = ops::logits_per_chunk(device),
          .composed = !device.is_cpu(),
          .program = session.program_bytes};
}

std::int64_t largest_batch(const RunConfig& config) {
  std::int64_t batch = config.train.batch_size;
  for (const auto& parameter : config.search) {
    if (parameter.name != "train.batch_size") continue;
    batch = std::max(batch, static_cast<std::int64_t>(parameter.high));
    for (const auto& choice : parameter.choices) batch = std::max(batch, static_cast<std::int64_t>(as_number(choice)));
  }
  return batch;
}

// Tokens and loss tokens of the largest pass that a round of `slots` trials fills; a full one, all of it trained, where
// there is no data. A pass holds at least one example, however long.
std::pair<std::int64_t, std::int64_t> largest_pass(const Session& session, std::int64_t slots, const MemoryCase& one) {
  const std::int64_t least = tokens_of_longest(session, one), tokens_per_pass = one.tokens_per_pass;
  if (!session.has_data()) return {std::max(tokens_per_pass, least), std::max(tokens_per_pass, least)};
  const std::int64_t batch = largest_batch(session.config);
  const auto per_example = [](std::int64_t tokens, const Dataset& data) {
    return static_cast<double>(tokens) / static_cast<double>(std::max<std::size_t>(1, data.examples.size()));
  };
  const auto in_round = [&](std::int64_t train, std::int64_t valid) {
    const double of_batch = per_example(train, session.data.train) * static_cast<double>(batch);
    return static_cast<double>(slots) * std::max(of_batch, static_cast<double>(valid));
  };
  const double tokens = std::max(1.0, in_round(session.data.train.tokens, session.data.valid.tokens));
  const double rows = in_round(session.data.train.loss_tokens, session.data.valid.loss_tokens);
  const double share = std::min(1.0, static_cast<double>(std::max(tokens_per_pass, least)) / tokens);
  return {static_cast<std::int64_t>(share * tokens), static_cast<std::int64_t>(share * rows)};
}

// Keys and values of the evaluator that has most of them.
std::int64_t evaluation_cache(const Session& session, std::int64_t trials, at::Device device, const MemoryCase& one) {
  const std::int64_t block =
      KvCache::bytes_per_block(session.model.checkpoint.options, activation_dtype(one.dtype, device.type()));
  std::int64_t most = 0;
  for (const auto& evaluator : session.evaluators) {
    const EvaluatorWork work = evaluator->work();
    const std::int64_t longest = blocks_of(work.longest) * block;
    most =
        std::max(most, std::max(longest, std::min(evaluation_cache_bytes(device), longest * work.sequences * trials)));
  }
  return most;
}

MemoryEstimate memory_of(const Session& session, std::int64_t slots, at::Device device, const MemoryCase& one) {
  MemoryPlan plan = memory_plan(session, slots, device, one);
  // Full fine-tuning takes turns: a pass holds one trial.
  std::tie(plan.tokens_per_pass, plan.loss_rows_per_pass) = largest_pass(session, plan.full ? 1 : slots, one);
  plan.cache = evaluation_cache(session, slots, device, one);
  // The best state of each, and while a save is written the present one too.
  plan.images = session.config.run.save_every == 0 ? slots : 2 * slots;
  plan.lanes =
      std::max<std::int64_t>(1, std::ranges::count(devices_of(session, one), device));  // they share its memory
  return estimate_memory(session.model.checkpoint.options, plan);
}

// What of a base in this form is not on the devices yet: the session's own is, unless only its sizes are known.
std::int64_t base_to_come(const Session& session, const MemoryCase& one) {
  const auto bytes = [&](const MemoryCase& base) {
    return loaded_bytes(session.model.checkpoint.options, base.quantization, element_bytes(base));
  };
  return bytes(one) - (session.model.sizes_only ? 0 : bytes(case_of(session)));
}

MemoryNeed need_of(const Session& session, const MemoryShare& share, std::int64_t slots, const MemoryCase& one) {
  const std::int64_t lanes = std::ssize(devices_of(session, one));
  const std::int64_t here = (slots + lanes - 1) / lanes * share.lanes;
  const MemoryEstimate estimate = memory_of(session, here, share.device, one);
  // Room is left for fragmentation, and on the machine for others.
  const bool host = share.device.is_cpu();
  return {.share = share,
          .slots = here,
          .estimate = estimate,
          .to_come = estimate.to_come(host) + base_to_come(session, one),
          .usable = host ? share.free / 4 * 3 : share.free / 10 * 9};
}

}  // namespace

MemoryCase case_of(const Session& session) {
  return {.dtype = session.model.checkpoint.dtype,
          .quantization = session.model.checkpoint.quantization,
          .full = session.config.train.full(),
          .tokens_per_pass = session.tokens_per_pass};
}

std::int64_t tokens_of_longest(const Session& session) {
  if (!session.has_data()) return session.config.data.max_length;
  return std::max(session.data.train.examples.longest(), session.data.valid.examples.longest());
}

std::int64_t tokens_of_longest(const Session& session, const MemoryCase& one) {
  const std::int64_t longest = tokens_of_longest(session);
  return one.longest > 0 ? std::min(one.longest, longest) : longest;
}

std::int64_t choose_tokens_per_pass(const Session& session, const MemoryCase& one) {
  const std::vector<at::Device>& devices = devices_of(session, one);
  const bool gpu = std::ranges::any_of(devices, [](const at::Device& device) { return !device.is_cpu(); });
  std::int64_t tokens = gpu ? kGpuTokensPerPass : kCpuTokensPerPass;
  const std::int64_t base = base_to_come(session, one);
  for (const MemoryShare& share : memory_shares(devices, session.free_memory))
    tokens = fit_tokens_per_pass(session.model.checkpoint.options, memory_plan(session, 1, share.device, one),
                                 (share.free - base) / 2, tokens);
  return tokens;
}

std::int64_t tokens_of_pass(const Session& session, const MemoryCase& one) {
  return session.config.run.tokens_per_pass.value_or(choose_tokens_per_pass(session, one));
}

MemoryEstimate session_memory(const Session& session, std::int64_t slots, at::Device device) {
  return memory_of(session, slots, device, case_of(session));
}

std::int64_t wanted_trials(const RunConfig& config) {
  return wanted_trials(config, config.train.full());
}

std::int64_t wanted_trials(const RunConfig& config, bool full) {
  // More trials side by side than this no longer make a pass fuller, and asynchronous halving learns from what ended.
  const std::int64_t rule = full ? 4 : 16;
  return std::min(config.tune.concurrent.value_or(rule), config.tune.trials);
}

std::vector<MemoryNeed> memory_needs(const Session& session, std::int64_t slots) {
  return memory_needs(session, slots, case_of(session));
}

std::vector<MemoryNeed> memory_needs(const Session& session, std::int64_t slots, const MemoryCase& one) {
  std::vector<MemoryNeed> needs;
  for (const MemoryShare& share : memory_shares(devices_of(session, one), session.free_memory))
    needs.push_back(need_of(session, share, slots, one));
  return needs;
}

std::int64_t resident_trials(Session& session) {
  const RunConfig& config = session.config;
  const std::int64_t wanted = wanted_trials(config);
  std::int64_t fit = wanted;
  std::optional<MemoryShare> tightest;
  const MemoryCase own = case_of(session);
  for (const MemoryShare& share : memory_shares(session.model.devices, session.free_memory)) {
    const auto fits = [&](std::int64_t trials) { return need_of(session, share, trials + 1, own).fits(); };
    const std::int64_t here = slots_that_fit(fit, fits);
    if (here < fit) tightest = share;
    fit = here;
  }
  if (config.tune.concurrent && tightest) {
    session.notes.push_back(
        fmt::format("tune.concurrent = {} lowered to {}: {} trials need {} MiB on {}, which has {} MiB free; shorter "
                    "data.max_length, a lower rank or a lower run.tokens_per_pass make room",
                    *config.tune.concurrent, fit, wanted, need_of(session, *tightest, wanted + 1, own).to_come >> 20,
                    tightest->device.str(), tightest->free >> 20));
  }
  return fit;
}

}  // namespace finetune
