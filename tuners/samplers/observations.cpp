#include "tuners/samplers/observations.h"

#include <algorithm>
#include <map>

namespace finetune {
namespace {

std::int64_t step_to_learn_from(std::span<const TrialRecord> trials, std::size_t enough) {
  std::map<std::int64_t, std::size_t> counts;
  for (const TrialRecord& trial : trials) {
    if (trial.state == TrialState::failed) continue;
    for (const auto& [step, value] : trial.values) ++counts[step];
  }
  std::int64_t best = 0;
  std::size_t most = 0;
  for (const auto& [step, count] : counts) {  // steps ascend, so the highest one wins
    if (std::min(count, enough) >= most) best = step, most = std::min(count, enough);
  }
  return best;
}

// An earlier study looked at steps of its own: who came past a step of ours without a value there is not worse for it.
bool reached(const TrialRecord& trial, std::int64_t step) {
  return !trial.values.empty() && trial.values.back().first >= step;
}

}  // namespace

Observations observe(std::span<const TrialRecord> trials, std::size_t enough) {
  Observations result;
  result.step = step_to_learn_from(trials, enough);
  for (const TrialRecord& trial : trials) {
    if (trial.state == TrialState::failed) {
      result.failed.push_back(&trial);
      continue;
    }
    const auto at = std::lower_bound(trial.values.begin(), trial.values.end(), result.step,
                                     [](const auto& value, std::int64_t step) { return value.first < step; });
    const bool has_value = at != trial.values.end() && at->first == result.step;
    if (has_value)
      result.observed.push_back({&trial, at->second});
    else if (is_past(trial) && reached(trial, result.step))
      continue;
    else if (trial.state == TrialState::stopped || trial.state == TrialState::completed)
      result.stopped.push_back(&trial);
    else
      result.pending.push_back(&trial);
  }
  return result;
}

}  // namespace finetune
