#include "report/failures.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "core/usual_rates.h"

namespace finetune {
namespace {

using Trials = std::vector<const TrialFacts*>;

constexpr const char* kRate = "train.learning_rate";

// The words of failure_reason (engine/actions.h) and of a lane.
bool found_no_memory(const TrialFacts& trial) {
  return trial.reason.find("out of memory") != std::string::npos;
}
bool diverged(const TrialFacts& trial) {
  const auto begins = [&](const char* words) { return trial.reason.starts_with(words); };
  return begins("loss is ") || begins("gradient norm is ") || begins("metric is not finite");
}

Trials failed_with(const ReportFacts& study, bool (*how)(const TrialFacts&)) {
  Trials trials;
  for (const TrialFacts& trial : study.trials) {
    if (trial.state == "failed" && how(trial)) trials.push_back(&trial);
  }
  return trials;
}

// "loss is nan at step 1 (trial 0)" where there are no others, else how many there are of them.
std::string evidence(const ReportFacts& study, const Trials& trials, const char* what) {
  const std::string first = fmt::format("{} (trial {})", trials.front()->reason, trials.front()->id);
  if (trials.size() == study.trials.size()) return first;
  return fmt::format("{} of {} trials {}: {}", trials.size(), study.trials.size(), what, first);
}

std::optional<double> rate_of(const TrialFacts& trial) {
  const Value* rate = find_param(trial.params, kRate);
  return rate ? std::optional(as_number(*rate)) : std::nullopt;
}

std::string advice_on_rates(const ReportFacts& study, const Trials& trials) {
  const auto lower = [](const auto* a, const auto* b) { return rate_of(*a) < rate_of(*b); };
  const auto [least, most] = std::minmax_element(trials.begin(), trials.end(), lower);
  const auto rate = rate_of(**least);
  const UsualRates rates = usual_rates(study.full, study.objective != "sft");
  const std::string usual = fmt::format("; {:.3g} to {:.3g} is usual for {}", rates.low, rates.high, rates.of);
  if (!rate) return fmt::format(": lower {}{}", kRate, usual);
  return fmt::format("; their rates were {:.3g} to {:.3g}, and {:.3g} failed at step {}: lower search.{}{}", *rate,
                     *rate_of(**most), *rate, (*least)->steps, kRate,
                     *rate > rates.high ? usual : ", or lengthen train.warmup_ratio");
}

}  // namespace

std::string failure_hint(const ReportFacts& study) {
  const Trials broken = failed_with(study, diverged), starved = failed_with(study, found_no_memory);
  const bool all = all_failed(study);
  const auto tells = [&](const Trials& trials) {
    return !trials.empty() && (all || 2 * trials.size() > study.trials.size());
  };
  std::string hint;
  if (tells(broken)) hint = evidence(study, broken, "diverged") + advice_on_rates(study, broken);
  if (tells(starved)) {
    if (!hint.empty()) hint += "; ";
    hint += evidence(study, starved, "found no memory") + ": lower data.max_length" +
            (study.full ? "" : ", train.lora.rank") + " or tune.concurrent";
  }
  if (hint.empty() && all) hint = fmt::format("{} (trial {})", study.trials.front().reason, study.trials.front().id);
  return hint;
}

}  // namespace finetune
