#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "tuners/saved_state.h"
#include "tuners/schedulers/level_guard.h"
#include "tuners/schedulers/rungs.h"
#include "tuners/schedulers/schedulers.h"

namespace finetune {
namespace {

constexpr std::int64_t kConfirmed = 4;  // 2 to 6 differ by less than the seeds do

class Hyperband : public Scheduler {
 public:
  Hyperband(std::vector<Bracket> brackets, std::int64_t eta, std::int64_t max_steps, bool guard)
      : brackets_(std::move(brackets)), levels_(with(brackets_.front().rungs, max_steps)), eta_(eta), guarded_(guard) {
    started_.resize(brackets_.size());
  }

  // Each bracket gets its share of the trials, the one furthest behind first, the one with more trials among equals. A
  // bracket whose first rung misleads gets none.
  void on_start(const TrialRecord& trial) override {
    std::size_t chosen = brackets_.size() - 1;
    for (std::size_t b = chosen; b-- > 0;) {
      const bool behind = share(b) * (started_[chosen] + 1) >= share(chosen) * (started_[b] + 1);
      if (behind && guard_.is_trusted(b)) chosen = b;
    }
    ++started_[chosen];
    members_[trial.id] = {chosen, false};
  }

  void on_reports(std::span<const TrialRecord* const> reported, std::span<const TrialRecord>,
                  std::vector<Action>& actions) override {
    std::vector<std::vector<const TrialRecord*>> arriving(brackets_.size());
    for (const TrialRecord* trial : that_reach(levels_, reported)) {
      const Member& member = members_.at(trial->id);
      if (guarded_ && !member.judged) guard_.compare(*trial);
      arriving[member.bracket].push_back(trial);
    }
    const std::size_t first = actions.size();
    for (std::size_t bracket = 0; bracket < brackets_.size(); ++bracket) {
      for (const std::int64_t step : brackets_[bracket].rungs) {
        const auto cohort = arrivals(arriving[bracket], step, std::span(actions).subspan(first));
        if (!cohort.empty()) judge({bracket, step}, cohort, actions);
      }
    }
  }

  std::optional<std::int64_t> next_milestone(TrialId trial, std::int64_t step) const override {
    // The guard wants to see unjudged trials at every rung.
    return next_rung(guarded_ ? levels_ : brackets_[members_.at(trial).bracket].rungs, step);
  }

  Looks looks() const override {
    return {.rungs = {levels_.begin(), levels_.end() - 1}, .distrusted = guard_.distrusted()};
  }
  bool acts_at_milestones_only() const override { return true; }

  nlohmann::json save() const override;
  void load(const nlohmann::json& state, std::span<const TrialRecord> trials) override;

 private:
  struct Member {
    std::size_t bracket = 0;
    bool judged = false;  // its survival says something about its rank
  };

  static std::vector<std::int64_t> with(std::vector<std::int64_t> rungs, std::int64_t max_steps) {
    rungs.push_back(max_steps);
    return rungs;
  }
  // Many trials that stop early are worth more where their first rung tells how they end.
  std::int64_t share(std::size_t bracket) const {
    return brackets_[bracket].trials * (guard_.is_confirmed(bracket) ? kConfirmed : 1);
  }

  void judge(std::pair<std::size_t, std::int64_t> rung, std::span<const RungEntry> cohort,
             std::vector<Action>& actions) {
    RungEntries& entries = entries_[rung];
    for (const RungEntry& entry : cohort) enter(entries, entry);
    if (!guard_.is_trusted_step(rung.second)) return;
    for (const RungEntry& entry : cohort) members_.at(entry.second).judged = true;
    stop_losers(entries, rung.second, cohort, survivors(static_cast<std::int64_t>(entries.size()), eta_), actions);
  }

  std::vector<Bracket> brackets_;     // level b is the first rung of bracket b
  std::vector<std::int64_t> levels_;  // all rungs, which are the first bracket's, and the full budget
  std::int64_t eta_;
  bool guarded_;
  LevelGuard guard_{levels_, kUnselected};
  std::map<TrialId, Member> members_;
  std::vector<std::int64_t> started_;                                    // by bracket
  std::map<std::pair<std::size_t, std::int64_t>, RungEntries> entries_;  // by bracket and step
};

nlohmann::json Hyperband::save() const {
  auto members = nlohmann::json::array(), entries = nlohmann::json::array();
  for (const auto& [id, member] : members_) members.push_back({id.value, member.bracket, member.judged});
  for (const auto& [rung, list] : entries_) entries.push_back({rung.first, rung.second, rung_to_json(list)});
  return {{"members", members}, {"entries", entries}, {"agreements", guard_.save()}};
}

void Hyperband::load(const nlohmann::json& state, std::span<const TrialRecord> trials) {
  Hyperband loaded(brackets_, eta_, levels_.back(), guarded_);
  for (const auto& member : state.at("members")) {
    const std::size_t bracket = index_from(member.at(1), brackets_.size());
    ++loaded.started_[bracket];
    loaded.members_[trial_from(member.at(0), trials)] = {bracket, member.at(2).get<bool>()};
  }
  require_all(loaded.members_.size(), trials);
  for (const auto& rung : state.at("entries")) {
    const std::size_t bracket = index_from(rung.at(0), brackets_.size());
    loaded.entries_[{bracket, count_from(rung.at(1))}] = rung_from_json(rung.at(2), trials);
  }
  loaded.guard_.load(state.at("agreements"), trials.size());
  *this = std::move(loaded);
}

std::unique_ptr<Scheduler> make_hyperband(const OptionReader& options, const SchedulerRequest& request) {
  const RungOptions rungs = read_rung_options(options, request.tuner);
  const std::int64_t eta = rungs.reduction_factor, max_steps = request.tuner.max_steps;
  return std::make_unique<Hyperband>(hyperband_brackets(rungs.min_steps, eta, max_steps), eta, max_steps,
                                     options.flag("guard"));
}

OptionSpec own_guard_option() {
  OptionSpec spec = guard_option();
  spec.help += ", and start no more there";
  spec.otherwise = true;
  return spec;
}

}  // namespace

SchedulerKind hyperband_kind() {
  return {"hyperband",
          "brackets of asha with different first rungs, side by side",
          {min_steps_option(), reduction_factor_option(), own_guard_option()},
          make_hyperband};
}

}  // namespace finetune
