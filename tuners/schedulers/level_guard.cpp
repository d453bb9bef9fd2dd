#include "tuners/schedulers/level_guard.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "tuners/saved_state.h"
#include "tuners/schedulers/rungs.h"

namespace finetune {

std::vector<std::int64_t> guard_levels(std::int64_t warmup_steps, std::int64_t interval, std::int64_t max_steps) {
  std::vector<std::int64_t> levels = rung_steps(interval, 3, max_steps - warmup_steps);
  for (std::int64_t& level : levels) level += warmup_steps;
  levels.push_back(max_steps);
  return levels;
}

OptionSpec guard_option() {
  return without(
      flag_option("guard", "stop nobody where later values contradict the ranking of early ones", std::nullopt),
      "true, in asktell false");
}

std::size_t LevelGuard::level_of(std::int64_t step) const {
  return static_cast<std::size_t>(std::lower_bound(levels_.begin(), levels_.end(), step) - levels_.begin());
}

void LevelGuard::compare(const TrialRecord& trial) {
  for (const std::int64_t reached : rungs_reached(levels_, trial)) {
    const std::size_t level = level_of(reached);
    for (std::size_t lower = 0; lower < level; ++lower) {
      const auto* early = value_from(trial, levels_[lower]);
      if (early->first < trial.step) agreements_[{lower, level}].add(early->second, trial.values.back().second);
    }
  }
}

void LevelGuard::compare(std::span<const TrialRecord* const> reported) {
  for (const TrialRecord* trial : reported) compare(*trial);
}

bool LevelGuard::is_trusted(std::size_t level) const {
  for (std::size_t higher = level + 1; higher < levels_.size(); ++higher) {
    const auto found = agreements_.find({level, higher});
    if (found == agreements_.end() || found->second.size() < rule_.enough_pairs) continue;
    if (found->second.tau() < rule_.low_tau) return false;
  }
  return true;
}

bool LevelGuard::is_trusted_look(std::int64_t step) const {
  const auto above = std::upper_bound(levels_.begin(), levels_.end(), step);
  return above == levels_.begin() || is_trusted(static_cast<std::size_t>(above - levels_.begin()) - 1);
}

bool LevelGuard::is_confirmed(std::size_t level) const {
  for (std::size_t higher = levels_.size(); --higher > level && 4 * levels_[higher] >= levels_.back();) {
    const auto found = agreements_.find({level, higher});
    if (found != agreements_.end() && found->second.size() >= rule_.enough_pairs)
      return found->second.tau() >= rule_.high_tau;
  }
  return false;
}

std::vector<std::int64_t> LevelGuard::distrusted() const {
  std::vector<std::int64_t> steps;
  for (std::size_t level = 0; level + 1 < levels_.size(); ++level) {
    if (!is_trusted(level)) steps.push_back(levels_[level]);
  }
  return steps;
}

nlohmann::json LevelGuard::save() const {
  auto json = nlohmann::json::array();
  for (const auto& [pair, agreement] : agreements_) json.push_back({pair.first, pair.second, agreement.save()});
  return json;
}

void LevelGuard::load(const nlohmann::json& json, std::size_t trials) {
  for (const auto& pair : json) {
    if (pair.at(2).size() > trials) throw bad_input("", "more trials were compared than there are");
    const std::size_t lower = index_from(pair.at(0), levels_.size()), higher = index_from(pair.at(1), levels_.size());
    agreements_[{lower, higher}].load(pair.at(2));
  }
}

}  // namespace finetune
