#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "tuners/schedulers/rank_agreement.h"
#include "tuners/schedulers/rungs.h"
#include "tuners/schedulers/schedulers.h"

namespace finetune {
namespace {

// With fewer pairs, or above this correlation, a level is trusted. Four pairs say little, but waiting costs more than a
// false alarm, which later pairs mend. Chosen among a dozen settings (4 to 10 pairs, 0.1 to 0.4) on Hartmann curves whose
// early values inform or mislead, where medians move by as much between seeds as between settings.
constexpr std::size_t kEnoughPairs = 4;
constexpr double kLowCorrelation = 0.3;

class Hyperband : public Scheduler {
 public:
  Hyperband(std::vector<Bracket> brackets, std::int64_t eta, std::int64_t max_steps, bool guard)
      : brackets_(std::move(brackets)), levels_(brackets_.front().rungs), eta_(eta), guard_(guard) {
    levels_.push_back(max_steps);
    started_.resize(brackets_.size());
  }

  // Each bracket gets its share of the trials, the one furthest behind first, the one with more trials among equals. A
  // bracket whose first rung misleads gets none.
  void on_start(const TrialRecord& trial) override {
    std::size_t chosen = brackets_.size() - 1;
    for (std::size_t b = chosen; b-- > 0;) {
      const bool behind = brackets_[b].trials * (started_[chosen] + 1) >= brackets_[chosen].trials * (started_[b] + 1);
      if (behind && is_trusted(b)) chosen = b;
    }
    ++started_[chosen];
    members_[trial.id] = {chosen, false};
  }

  void on_reports(std::span<const TrialRecord* const> reported, std::span<const TrialRecord>,
                  std::vector<Action>& actions) override {
    std::map<std::pair<std::size_t, std::int64_t>, std::vector<RungEntry>> arrived;
    for (const TrialRecord* trial : reported) {
      const auto value = fresh_value(*trial);
      if (!value || !std::binary_search(levels_.begin(), levels_.end(), trial->step)) continue;
      const Member& member = members_.at(trial->id);
      if (guard_ && !member.judged) compare_levels(*trial);
      if (!is_rung_of(member.bracket, trial->step)) continue;
      enter(entries_[{member.bracket, trial->step}], {*value, trial->id});
      arrived[{member.bracket, trial->step}].emplace_back(*value, trial->id);
    }
    for (const auto& [rung, cohort] : arrived) judge(rung, cohort, actions);
  }

  std::optional<std::int64_t> next_milestone(TrialId trial, std::int64_t step) const override {
    // The guard wants to see unjudged trials at every rung.
    return next_rung(guard_ ? levels_ : brackets_[members_.at(trial).bracket].rungs, step);
  }

  nlohmann::json save() const override;
  void load(const nlohmann::json& state) override;

 private:
  struct Member {
    std::size_t bracket = 0;
    bool judged = false;  // its survival says something about its rank
  };

  std::size_t level_of(std::int64_t step) const {
    return static_cast<std::size_t>(std::lower_bound(levels_.begin(), levels_.end(), step) - levels_.begin());
  }
  bool is_rung_of(std::size_t bracket, std::int64_t step) const {
    const auto& own = brackets_[bracket].rungs;
    return std::binary_search(own.begin(), own.end(), step);
  }

  // A level misleads when trials that nobody had selected rank differently at a higher one.
  bool is_trusted(std::size_t level) const {
    for (std::size_t higher = level + 1; higher < levels_.size(); ++higher) {
      const auto found = agreements_.find({level, higher});
      if (found == agreements_.end() || found->second.size() < kEnoughPairs) continue;
      if (found->second.tau() < kLowCorrelation) return false;
    }
    return true;
  }

  void compare_levels(const TrialRecord& trial) {
    const std::size_t here = level_of(trial.step);
    for (std::size_t lower = 0; lower < here; ++lower) {
      if (const auto value = value_at_step(trial, levels_[lower])) {
        agreements_[{lower, here}].add(*value, trial.values.back().second);
      }
    }
  }

  void judge(std::pair<std::size_t, std::int64_t> rung, std::span<const RungEntry> cohort,
             std::vector<Action>& actions) {
    if (!is_trusted(level_of(rung.second))) return;
    for (const RungEntry& entry : cohort) members_.at(entry.second).judged = true;
    const RungEntries& entries = entries_.at(rung);
    stop_losers(entries, rung.second, cohort, survivors(static_cast<std::int64_t>(entries.size()), eta_), actions);
  }

  std::vector<Bracket> brackets_;     // level b is the first rung of bracket b
  std::vector<std::int64_t> levels_;  // all rungs, which are the first bracket's, and the full budget
  std::int64_t eta_;
  bool guard_;
  std::map<TrialId, Member> members_;
  std::vector<std::int64_t> started_;                                        // by bracket
  std::map<std::pair<std::size_t, std::int64_t>, RungEntries> entries_;      // by bracket and step
  std::map<std::pair<std::size_t, std::size_t>, RankAgreement> agreements_;  // by lower and higher level
};

nlohmann::json Hyperband::save() const {
  auto members = nlohmann::json::array(), entries = nlohmann::json::array(), agreements = nlohmann::json::array();
  for (const auto& [id, member] : members_) members.push_back({id.value, member.bracket, member.judged});
  for (const auto& [rung, list] : entries_) entries.push_back({rung.first, rung.second, rung_to_json(list)});
  for (const auto& [pair, agreement] : agreements_) agreements.push_back({pair.first, pair.second, agreement.save()});
  return {{"members", members}, {"entries", entries}, {"agreements", agreements}};
}

void Hyperband::load(const nlohmann::json& state) {
  Hyperband loaded(brackets_, eta_, levels_.back(), guard_);
  for (const auto& member : state.at("members")) {
    const auto bracket = member.at(1).get<std::size_t>();
    ++loaded.started_.at(bracket);
    loaded.members_[{member.at(0).get<std::int64_t>()}] = {bracket, member.at(2).get<bool>()};
  }
  for (const auto& rung : state.at("entries")) {
    loaded.entries_[{rung.at(0).get<std::size_t>(), rung.at(1).get<std::int64_t>()}] = rung_from_json(rung.at(2));
  }
  for (const auto& pair : state.at("agreements")) {
    loaded.agreements_[{pair.at(0).get<std::size_t>(), pair.at(1).get<std::size_t>()}].load(pair.at(2));
  }
  *this = std::move(loaded);
}

}  // namespace

std::unique_ptr<Scheduler> make_hyperband(const SchedulerRequest& request) {
  OptionReader options("tune.scheduler", request.options);
  const RungOptions rungs = read_rung_options(options, request.tuner);
  const bool guard = options.flag("guard", true);
  options.finish();
  const std::int64_t eta = rungs.reduction_factor, max_steps = request.tuner.max_steps;
  return std::make_unique<Hyperband>(hyperband_brackets(rungs.min_steps, eta, max_steps), eta, max_steps, guard);
}

}  // namespace finetune
