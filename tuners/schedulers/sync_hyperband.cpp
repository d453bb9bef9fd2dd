#include <algorithm>
#include <deque>
#include <map>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "tuners/saved_state.h"
#include "tuners/schedulers/rungs.h"
#include "tuners/schedulers/schedulers.h"

namespace finetune {
namespace {

// One bracket being played: its trials, and who has reached the present rung.
struct Cohort {
  std::size_t bracket = 0, rung = 0;
  std::int64_t started = 0;
  std::vector<TrialId> members;  // still in the race
  RungEntries entered;           // members that wait at the present rung
};

class SyncHyperband : public Scheduler {
 public:
  SyncHyperband(std::vector<Bracket> brackets, std::int64_t eta, std::int64_t max_steps)
      : brackets_(std::move(brackets)), eta_(eta), max_steps_(max_steps) {}

  void on_start(const TrialRecord& trial) override {
    if (cohorts_.empty() || is_filled(cohorts_.back()))
      cohorts_.push_back({.bracket = cohorts_.size() % brackets_.size()});
    ++cohorts_.back().started;
    cohorts_.back().members.push_back(trial.id);
    cohort_of_[trial.id] = cohorts_.size() - 1;
  }

  void on_reports(std::span<const TrialRecord* const> reported, std::span<const TrialRecord> all,
                  std::vector<Action>& actions) override {
    std::vector<const TrialRecord*> arrived;
    for (const TrialRecord* trial : reported) {
      Cohort& cohort = cohorts_[cohort_of_.at(trial->id)];
      const auto value = fresh_value(*trial);
      if (!value || !has_reached(cohort, *trial)) continue;
      enter(cohort.entered, {*value, trial->id});
      arrived.push_back(trial);
    }
    for (const TrialRecord* trial : arrived) halve_when_complete(cohorts_[cohort_of_.at(trial->id)], all, actions);
    for (const TrialRecord* trial : arrived) {
      if (is_member(trial->id) && !is_complete(*trial))
        actions.push_back({.trial = trial->id, .what = Action::Do::pause, .reason = "waits for its cohort"});
    }
  }

  // Who has come to the end leaves its cohort, which waits no more for it.
  void on_end(const TrialRecord& trial, std::span<const TrialRecord> all, std::vector<Action>& actions) override {
    Cohort& cohort = cohorts_[cohort_of_.at(trial.id)];
    std::erase(cohort.members, trial.id);
    std::erase_if(cohort.entered, [&](const RungEntry& entry) { return entry.second == trial.id; });
    std::erase(promoted_, trial.id);
    halve_when_complete(cohort, all, actions);
  }

  void on_idle(std::int64_t free_slots, bool exhausted, std::span<const TrialRecord> all,
               std::vector<Action>& actions) override {
    if (exhausted && !cohorts_.empty() && !exhausted_) {
      exhausted_ = true;
      halve_when_complete(cohorts_.back(), all, actions);
    }
    for (; free_slots > 0 && !promoted_.empty(); --free_slots) {
      actions.push_back(
          {.trial = promoted_.front(), .what = Action::Do::resume, .reason = "among the best of its cohort"});
      promoted_.pop_front();
    }
  }

  std::optional<std::int64_t> next_milestone(TrialId trial, std::int64_t step) const override {
    return next_rung(brackets_[cohorts_[cohort_of_.at(trial)].bracket].rungs, step);
  }

  Looks looks() const override { return {.rungs = brackets_.front().rungs}; }
  bool acts_at_milestones_only() const override { return true; }

  nlohmann::json save() const override;
  void load(const nlohmann::json& state, std::span<const TrialRecord> trials) override;

 private:
  bool is_filled(const Cohort& cohort) const { return cohort.started >= brackets_[cohort.bracket].trials; }
  bool is_member(TrialId trial) const {
    const auto& members = cohorts_[cohort_of_.at(trial)].members;
    return std::find(members.begin(), members.end(), trial) != members.end();
  }

  bool has_reached(const Cohort& cohort, const TrialRecord& trial) const {
    const auto& rungs = brackets_[cohort.bracket].rungs;
    return cohort.rung < rungs.size() && trial.step >= rungs[cohort.rung];
  }
  bool is_complete(const TrialRecord& trial) const { return trial.step >= max_steps_; }
  // All who are left have arrived, and no more will join.
  bool is_complete(const Cohort& cohort) const {
    if (cohort.entered.empty() || cohort.entered.size() < cohort.members.size()) return false;
    return is_filled(cohort) || exhausted_;
  }

  // More than once when all who go on have passed the next rung too.
  void halve_when_complete(Cohort& cohort, std::span<const TrialRecord> all, std::vector<Action>& actions) {
    while (is_complete(cohort)) {
      const RungEntries entered = std::exchange(cohort.entered, {});
      const std::int64_t keep = survivors(static_cast<std::int64_t>(entered.size()), eta_);
      stop_losers(entered, brackets_[cohort.bracket].rungs[cohort.rung++], entered, keep, actions);
      cohort.members.clear();
      for (const RungEntry& entry : entered) {
        if (is_among_best(entered, entry, keep))
          go_on(cohort, entry, all[static_cast<std::size_t>(entry.second.value)]);
      }
    }
  }

  void go_on(Cohort& cohort, const RungEntry& entry, const TrialRecord& trial) {
    cohort.members.push_back(trial.id);
    if (has_reached(cohort, trial)) {
      enter(cohort.entered, entry);
    } else if (!is_complete(trial)) {
      promoted_.push_back(trial.id);
    }
  }

  std::vector<Bracket> brackets_;
  std::int64_t eta_, max_steps_;
  std::vector<Cohort> cohorts_;
  std::map<TrialId, std::size_t> cohort_of_;
  std::deque<TrialId> promoted_;  // paused, and may go on as soon as there is a slot
  bool exhausted_ = false;
};

nlohmann::json SyncHyperband::save() const {
  auto cohorts = nlohmann::json::array(), of = nlohmann::json::array(), promoted = nlohmann::json::array();
  for (const Cohort& cohort : cohorts_) {
    auto members = nlohmann::json::array();
    for (const TrialId trial : cohort.members) members.push_back(trial.value);
    cohorts.push_back({cohort.bracket, cohort.rung, cohort.started, members, rung_to_json(cohort.entered)});
  }
  for (const auto& [trial, cohort] : cohort_of_) of.push_back({trial.value, cohort});
  for (const TrialId trial : promoted_) promoted.push_back(trial.value);
  return {{"cohorts", cohorts}, {"cohort_of", of}, {"promoted", promoted}, {"exhausted", exhausted_}};
}

void SyncHyperband::load(const nlohmann::json& state, std::span<const TrialRecord> trials) {
  SyncHyperband loaded(brackets_, eta_, max_steps_);
  for (const auto& json : state.at("cohorts")) {
    Cohort cohort;
    cohort.bracket = index_from(json.at(0), brackets_.size());
    cohort.rung = index_from(json.at(1), brackets_[cohort.bracket].rungs.size() + 1);
    cohort.started = count_from(json.at(2));
    cohort.entered = rung_from_json(json.at(4), trials);
    for (const auto& trial : json.at(3)) cohort.members.push_back(trial_from(trial, trials));
    // Who has come to the last rung goes on to the end, and waits nowhere.
    if (cohort.rung == brackets_[cohort.bracket].rungs.size() && !cohort.entered.empty())
      throw bad_input("", "trials wait past the last rung");
    loaded.cohorts_.push_back(std::move(cohort));
  }
  for (const auto& pair : state.at("cohort_of")) {
    loaded.cohort_of_[trial_from(pair.at(0), trials)] = index_from(pair.at(1), loaded.cohorts_.size());
  }
  require_all(loaded.cohort_of_.size(), trials);
  for (const auto& trial : state.at("promoted")) loaded.promoted_.push_back(trial_from(trial, trials));
  loaded.exhausted_ = state.at("exhausted").get<bool>();
  *this = std::move(loaded);
}

std::unique_ptr<Scheduler> make_sync_hyperband(const OptionReader& options, const SchedulerRequest& request) {
  const RungOptions rungs = read_rung_options(options, request.tuner);
  const std::int64_t eta = rungs.reduction_factor, max_steps = request.tuner.max_steps;
  return std::make_unique<SyncHyperband>(hyperband_brackets(rungs.min_steps, eta, max_steps), eta, max_steps);
}

}  // namespace

SchedulerKind sync_hyperband_kind() {
  return {"sync_hyperband",
          "Hyperband as in the paper: a bracket is halved when its whole cohort has come to a rung",
          {min_steps_option(), reduction_factor_option()},
          make_sync_hyperband,
          false,
          false,
          true};
}

}  // namespace finetune
