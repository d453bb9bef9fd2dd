#include "tuners/schedulers/promotion.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tuners/saved_state.h"

namespace finetune {

std::vector<OptionSpec> promotion_options() {
  return {min_steps_option(), reduction_factor_option(), guard_option()};
}

PromotionOptions read_promotion_options(const OptionReader& reader, const SchedulerRequest& request) {
  const RungOptions rungs = read_rung_options(reader, request.tuner);
  PromotionOptions options{.eta = rungs.reduction_factor};
  options.guard = reader.flag("guard", request.tuner.default_guard);
  options.levels = rung_steps(rungs.min_steps, rungs.reduction_factor, request.tuner.max_steps);
  options.levels.push_back(request.tuner.max_steps);
  return options;
}

Promotion::Promotion(const PromotionOptions& options)
    : eta_(options.eta), guarded_(options.guard), guard_(options.levels, kSurvivors), top_(options.levels.size() - 1) {
  for (const std::int64_t step : options.levels) levels_.push_back({.step = step});
}

void Promotion::on_start(const TrialRecord& trial) {
  heads_[trial.id] = 0;
}

void Promotion::on_reports(std::span<const TrialRecord* const> reported, std::span<const TrialRecord>,
                           std::vector<Action>& actions) {
  std::vector<const TrialRecord*> moving;
  for (const TrialRecord* trial : reported) {
    if (fresh_value(*trial) && has_reached(heads_.at(trial->id), *trial)) moving.push_back(trial);
  }
  if (guarded_) guard_.compare(moving);
  const std::size_t first = actions.size();
  for (std::size_t here = 0; here < levels_.size(); ++here) arrive(here, moving, actions);
  std::sort(actions.begin() + static_cast<std::ptrdiff_t>(first), actions.end(),
            [](const Action& a, const Action& b) { return a.trial < b.trial; });
}

bool Promotion::has_reached(std::size_t level, const TrialRecord& trial) const {
  return level < levels_.size() && trial.step >= levels_[level].step;
}

// All are entered before one pauses. Who pauses moves no more; who has its full budget has no reason to.
void Promotion::arrive(std::size_t here, std::vector<const TrialRecord*>& moving, std::vector<Action>& actions) {
  Level& level = levels_[here];
  const auto arrives = [&](const TrialRecord* trial) {
    return heads_.at(trial->id) == here && has_reached(here, *trial);
  };
  const auto rest =
      std::stable_partition(moving.begin(), moving.end(), [&](const TrialRecord* t) { return !arrives(t); });
  for (auto trial = rest; trial != moving.end(); ++trial) {
    enter(level.entries, {*fresh_value(**trial), (*trial)->id});
    ++heads_.at((*trial)->id);
  }
  const auto pauses = [&](const TrialRecord* trial) {
    if (trial->step >= levels_.back().step || !guard_.is_trusted(here)) return false;
    level.waiting.emplace(*fresh_value(*trial), trial->id);
    actions.push_back({.trial = trial->id,
                       .what = Action::Do::pause,
                       .reason = "rung " + std::to_string(level.step) + ": waits for promotion"});
    return true;
  };
  moving.erase(std::remove_if(rest, moving.end(), pauses), moving.end());
}

// Who has passed the next level already is there as soon as it is promoted, and needs no slot for it.
void Promotion::settle(std::span<const TrialRecord> all) {
  for (std::size_t here = 0; here < top_; ++here) {
    Level& level = levels_[here];
    for (auto waits = level.waiting.begin(); waits != level.waiting.end() && may_go_on(level, *waits);) {
      const RungEntry entry = *waits++;
      if (!has_reached(here + 1, all[static_cast<std::size_t>(entry.second.value)])) continue;
      level.waiting.erase(entry);
      enter(levels_[here + 1].entries, entry);
      levels_[here + 1].waiting.insert(entry);
      ++heads_.at(entry.second);
    }
  }
}

void Promotion::on_end(const TrialRecord& trial, std::span<const TrialRecord>, std::vector<Action>&) {
  const auto is_own = [&](const RungEntry& entry) { return entry.second == trial.id; };
  for (Level& level : levels_) {
    std::erase_if(level.waiting, is_own);
    if (trial.state == TrialState::failed) std::erase_if(level.entries, is_own);
  }
}

void Promotion::on_idle(std::int64_t free_slots, bool, std::span<const TrialRecord> all, std::vector<Action>& actions) {
  settle(all);
  for (std::size_t below = top_; below-- > 0;) {
    Level& level = levels_[below];
    for (; free_slots > 0; --free_slots) {
      const auto best = take_best_waiting(level);
      if (!best) break;
      actions.push_back({.trial = best->second,
                         .what = Action::Do::resume,
                         .reason = "rung " + std::to_string(level.step) + ": promoted"});
    }
  }
}

bool Promotion::may_go_on(const Level& level, const RungEntry& entry) const {
  return is_among_best(level.entries, entry, survivors(static_cast<std::int64_t>(level.entries.size()), eta_));
}

std::optional<RungEntry> Promotion::take_best_waiting(Level& level) const {
  if (level.waiting.empty()) return std::nullopt;
  const RungEntry best = *level.waiting.begin();
  if (!may_go_on(level, best)) return std::nullopt;
  level.waiting.erase(level.waiting.begin());
  return best;
}

std::optional<std::int64_t> Promotion::next_milestone(TrialId trial, std::int64_t step) const {
  const std::size_t head = heads_.at(trial);
  return head < levels_.size() ? std::max(step, levels_[head].step) : step;
}

Looks Promotion::looks() const {
  Looks looks{.distrusted = guard_.distrusted()};
  for (std::size_t k = 0; k + 1 < levels_.size(); ++k) looks.rungs.push_back(levels_[k].step);
  return looks;
}

nlohmann::json Promotion::save() const {
  auto levels = nlohmann::json::array(), heads = nlohmann::json::array();
  for (const Level& level : levels_) {
    const RungEntries waiting(level.waiting.begin(), level.waiting.end());
    levels.push_back({rung_to_json(level.entries), rung_to_json(waiting)});
  }
  for (const auto& [trial, head] : heads_) heads.push_back({trial.value, head});
  return {{"levels", levels}, {"heads", heads}, {"top", top_}, {"agreements", guard_.save()}};
}

void Promotion::load(const nlohmann::json& state, std::span<const TrialRecord> trials) {
  std::vector<Level> levels;
  for (std::size_t k = 0; k < levels_.size(); ++k) {
    const auto& json = state.at("levels").at(k);
    const RungEntries waiting = rung_from_json(json.at(1), trials);
    levels.push_back({levels_[k].step, rung_from_json(json.at(0), trials), {waiting.begin(), waiting.end()}});
  }
  std::map<TrialId, std::size_t> heads;
  for (const auto& pair : state.at("heads")) {
    heads[trial_from(pair.at(0), trials)] = index_from(pair.at(1), levels_.size() + 1);
  }
  require_all(heads.size(), trials);
  const std::size_t top = index_from(state.at("top"), levels_.size());
  std::vector<std::int64_t> steps;
  for (const Level& level : levels) steps.push_back(level.step);
  LevelGuard guard(std::move(steps), kSurvivors);
  guard.load(state.at("agreements"), trials.size());
  guard_ = std::move(guard);
  top_ = top;
  levels_ = std::move(levels);
  heads_ = std::move(heads);
}

}  // namespace finetune
