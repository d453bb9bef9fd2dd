#include "tuners/schedulers/promotion.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace finetune {

PromotionOptions read_promotion_options(const SchedulerRequest& request) {
  OptionReader reader("tune.scheduler", request.options);
  const RungOptions rungs = read_rung_options(reader, request.tuner);
  PromotionOptions options{.eta = rungs.reduction_factor};
  options.guard = reader.flag("guard", request.tuner.default_guard);
  reader.finish();
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
  std::vector<std::pair<std::size_t, RungEntry>> arrived;
  for (const TrialRecord* trial : reported) {
    const auto value = fresh_value(*trial);
    std::size_t& head = heads_.at(trial->id);
    if (!value || head == levels_.size() || trial->step < levels_[head].step) continue;
    const std::size_t here = head++;
    enter(levels_[here].entries, {*value, trial->id});
    if (guarded_) guard_.compare(*trial, here);
    arrived.push_back({here, {*value, trial->id}});
  }
  for (const auto& [here, entry] : arrived) {
    const bool complete = here + 1 == levels_.size();
    if (complete || !guard_.is_trusted(here)) continue;
    enter(levels_[here].waiting, entry);
    actions.push_back({.trial = entry.second,
                       .what = Action::Do::pause,
                       .reason = "rung " + std::to_string(levels_[here].step) + ": waits for promotion"});
  }
}

void Promotion::on_end(const TrialRecord& trial, std::span<const TrialRecord>, std::vector<Action>&) {
  const auto is_own = [&](const RungEntry& entry) { return entry.second == trial.id; };
  for (Level& level : levels_) {
    std::erase_if(level.waiting, is_own);
    if (trial.state == TrialState::failed) std::erase_if(level.entries, is_own);
  }
}

void Promotion::on_idle(std::int64_t free_slots, bool, std::span<const TrialRecord>, std::vector<Action>& actions) {
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

std::optional<RungEntry> Promotion::take_best_waiting(Level& level) const {
  if (level.waiting.empty()) return std::nullopt;
  const RungEntry best = level.waiting.front();
  if (!is_among_best(level.entries, best, survivors(static_cast<std::int64_t>(level.entries.size()), eta_)))
    return std::nullopt;
  level.waiting.erase(level.waiting.begin());
  return best;
}

std::optional<std::int64_t> Promotion::next_milestone(TrialId trial, std::int64_t step) const {
  const std::size_t head = heads_.at(trial);
  return head < levels_.size() ? std::max(step, levels_[head].step) : step;
}

nlohmann::json Promotion::save() const {
  auto levels = nlohmann::json::array(), heads = nlohmann::json::array();
  for (const Level& level : levels_) levels.push_back({rung_to_json(level.entries), rung_to_json(level.waiting)});
  for (const auto& [trial, head] : heads_) heads.push_back({trial.value, head});
  return {{"levels", levels}, {"heads", heads}, {"top", top_}, {"agreements", guard_.save()}};
}

void Promotion::load(const nlohmann::json& state) {
  std::vector<Level> levels;
  for (std::size_t k = 0; k < levels_.size(); ++k) {
    const auto& json = state.at("levels").at(k);
    levels.push_back({levels_[k].step, rung_from_json(json.at(0)), rung_from_json(json.at(1))});
  }
  std::map<TrialId, std::size_t> heads;
  for (const auto& pair : state.at("heads")) {
    heads[{pair.at(0).get<std::int64_t>()}] = std::min(pair.at(1).get<std::size_t>(), levels_.size());
  }
  std::vector<std::int64_t> steps;
  for (const Level& level : levels) steps.push_back(level.step);
  LevelGuard guard(std::move(steps), kSurvivors);
  guard.load(state.at("agreements"));
  guard_ = std::move(guard);
  top_ = std::min(state.at("top").get<std::size_t>(), levels_.size() - 1);
  levels_ = std::move(levels);
  heads_ = std::move(heads);
}

}  // namespace finetune
