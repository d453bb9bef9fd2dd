#include "tuners/schedulers/rungs.h"

#include <algorithm>

namespace finetune {

std::vector<std::int64_t> rung_steps(std::int64_t min_steps, std::int64_t eta, std::int64_t max_steps) {
  std::vector<std::int64_t> rungs;
  for (std::int64_t step = min_steps; step < max_steps; step *= eta) {
    rungs.push_back(step);
    if (step > max_steps / eta) break;  // the next would pass the budget, or overflow
  }
  return rungs;
}

std::int64_t survivors(std::int64_t n, std::int64_t eta) { return std::max<std::int64_t>(1, n / eta); }

bool is_among_best(const RungEntries& entries, TrialId trial, std::int64_t keep) {
  const auto own = std::find_if(entries.begin(), entries.end(), [&](const auto& entry) { return entry.second == trial; });
  if (own == entries.end()) return false;
  const auto better = std::count_if(entries.begin(), entries.end(), [&](const auto& entry) { return entry < *own; });
  return better < keep;
}

std::optional<std::int64_t> next_rung(std::span<const std::int64_t> rungs, std::int64_t step) {
  const auto found = std::lower_bound(rungs.begin(), rungs.end(), step);
  if (found == rungs.end()) return std::nullopt;
  return *found;
}

RungOptions read_rung_options(OptionReader& options, const TunerOptions& tuner) {
  RungOptions rungs;
  rungs.min_steps = options.whole("min_steps", std::min(tuner.default_min_steps, tuner.max_steps), 1);
  rungs.reduction_factor = options.whole("reduction_factor", 3, 2, 1000);
  if (rungs.min_steps > tuner.max_steps) {
    options.refuse("min_steps", "is " + std::to_string(rungs.min_steps) + ", above the budget of " +
                                    std::to_string(tuner.max_steps) + " steps a trial");
  }
  return rungs;
}

}  // namespace finetune
