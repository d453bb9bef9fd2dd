// The guard against misleading early values: a level whose ranking a higher level contradicts stops nobody. What
// hyperband, the halvings and percentile share. A round's reports are all compared before one is judged.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <utility>
#include <vector>

#include "tuners/options.h"
#include "tuners/schedulers/rank_agreement.h"
#include "tuners/tuner.h"

namespace finetune {

/// Levels for a scheduler without rungs: its first look, then three times as many steps behind the warm-up each time,
/// and the full budget.
std::vector<std::int64_t> guard_levels(std::int64_t warmup_steps, std::int64_t interval, std::int64_t max_steps);

/// When Kendall's tau between a level and a higher one contradicts the level.
struct GuardRule {
  std::size_t enough_pairs;  ///< with fewer the level is trusted
  double low_tau;            ///< it contradicts below this
  double high_tau = 0.6;     ///< it confirms from this on
};

/// For pairs that no rung has selected. Four say little, but waiting costs more than a false alarm, which later pairs
/// mend. Chosen among a dozen settings (4 to 10 pairs, 0.1 to 0.4) on Hartmann curves whose early values inform or
/// mislead, where medians move by as much between seeds as between settings.
constexpr GuardRule kUnselected{.enough_pairs = 4, .low_tau = 0.3};

/// For survivors: among the best of a level ranks say little, so only the opposite order counts. It is met by chance
/// too: on simulated curves that do not mislead, 100 trials of asha take up to a fifth more steps, and at equal steps
/// end as well. With 0.3 they take up to half as many more; six pairs 2.5 deviations below 0 are seen too late.
constexpr GuardRule kSurvivors{.enough_pairs = 4, .low_tau = 0};

/// Option `guard`.
OptionSpec guard_option();

class LevelGuard {
 public:
  /// `levels`: steps, ascending; the last is the full budget.
  LevelGuard(std::vector<std::int64_t> levels, GuardRule rule) : levels_(std::move(levels)), rule_(rule) {}

  /// Where the trial's fresh value has reached levels, pairs it with the trial's values at lower ones, as far as those
  /// are of earlier reports.
  void compare(const TrialRecord& trial);
  void compare(std::span<const TrialRecord* const> reported);

  /// False when a higher level ranks the trials differently.
  bool is_trusted(std::size_t level) const;
  bool is_trusted_step(std::int64_t step) const { return is_trusted(level_of(step)); }

  /// For looks at any step, which are as good as the level at or below them.
  bool is_trusted_look(std::int64_t step) const;

  /// True when the highest level that can tell has at least a quarter of the budget and ranks the trials alike.
  bool is_confirmed(std::size_t level) const;

  /// Steps of the levels that are not trusted at present.
  std::vector<std::int64_t> distrusted() const;

  const std::vector<std::int64_t>& levels() const { return levels_; }

  nlohmann::json save() const;
  /// Into an empty guard; a pair of levels has compared at most `trials`.
  void load(const nlohmann::json& json, std::size_t trials);

 private:
  std::size_t level_of(std::int64_t step) const;

  std::vector<std::int64_t> levels_;
  GuardRule rule_;
  std::map<std::pair<std::size_t, std::size_t>, RankAgreement> agreements_;  // by lower and higher level
};

}  // namespace finetune
