#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "tuners/schedulers/promotion.h"
#include "tuners/schedulers/rank_agreement.h"
#include "tuners/schedulers/schedulers.h"

namespace finetune {
namespace {

// Nobody goes beyond the top level, which rises by one whenever the two highest levels rank their trials differently.
class Pasha : public Promotion {
 public:
  explicit Pasha(const PromotionOptions& options) : Promotion(options) {
    set_top(std::min<std::size_t>(levels().size() - 1, 2));
  }

  void on_reports(std::span<const TrialRecord* const> reported, std::span<const TrialRecord> all,
                  std::vector<Action>& actions) override {
    const std::size_t before = at_top();
    Promotion::on_reports(reported, all, actions);
    raise_top(before, all);
  }

  void load(const nlohmann::json& state) override {
    Promotion::load(state);
    seen_.clear();
    noise_ = {};
    seen_top_ = 0;
  }

 private:
  void settle(std::span<const TrialRecord> all) override {
    std::size_t before = 0;
    do {
      before = at_top();
      Promotion::settle(all);
    } while (raise_top(before, all));
  }

  std::size_t at_top() const { return levels()[top()].entries.size(); }

  bool raise_top(std::size_t before, std::span<const TrialRecord> all) {
    if (at_top() <= before || top() + 1 == levels().size() || is_ranking_stable(all)) return false;
    set_top(top() + 1);
    return true;
  }

  // Only who reported between the two levels says whether they rank alike; with nobody they may well not.
  bool is_ranking_stable(std::span<const TrialRecord> all) {
    if (top() == 0) return true;
    std::vector<double> lower, higher;
    for (const auto& [value, id] : levels()[top()].entries) {
      const TrialRecord& trial = all[static_cast<std::size_t>(id.value)];
      const auto *below = value_from(trial, levels()[top() - 1].step), *here = value_from(trial, levels()[top()].step);
      if (below == here) continue;
      lower.push_back(below->second);
      higher.push_back(here->second);
    }
    return !lower.empty() && ranks_alike(lower, higher, epsilon(all));
  }

  // Of the curves of the trials at the top level over the steps that all of them have reported. Goes on from where it
  // was, so that a trial's arrival does not cost a comparison of all with all.
  double epsilon(std::span<const TrialRecord> all) {
    std::vector<const TrialRecord*> fresh;
    for (const auto& [value, id] : levels()[top()].entries) {
      if (!seen_.contains(id)) fresh.push_back(&all[static_cast<std::size_t>(id.value)]);
    }
    const bool left = seen_.size() + fresh.size() != levels()[top()].entries.size();
    if (seen_top_ != top() || left || !have_steps(fresh)) return epsilon_anew(all);
    for (const TrialRecord* trial : fresh) note(*trial);
    return noise_.epsilon();
  }

  double epsilon_anew(std::span<const TrialRecord> all) {
    seen_.clear();
    noise_ = {};
    seen_top_ = top();
    const RungEntries& entries = levels()[top()].entries;
    const auto record = [&](TrialId id) -> const TrialRecord& { return all[static_cast<std::size_t>(id.value)]; };
    steps_.clear();
    for (const auto& [step, value] : record(entries.front().second).values) {
      if (step <= levels()[top()].step) steps_.push_back(step);
    }
    std::erase_if(steps_, [&](std::int64_t step) {
      return std::any_of(entries.begin(), entries.end(), [&](const RungEntry& entry) {
        return !value_at_step(record(entry.second), step).has_value();
      });
    });
    for (const RungEntry& entry : entries) note(record(entry.second));
    return noise_.epsilon();
  }

  bool have_steps(std::span<const TrialRecord* const> trials) const {
    return std::all_of(trials.begin(), trials.end(), [&](const TrialRecord* trial) {
      return std::all_of(steps_.begin(), steps_.end(),
                         [&](std::int64_t step) { return value_at_step(*trial, step).has_value(); });
    });
  }

  void note(const TrialRecord& trial) {
    std::vector<double> curve;
    for (const std::int64_t step : steps_) curve.push_back(*value_at_step(trial, step));
    noise_.add(std::move(curve));
    seen_.insert(trial.id);
  }

  // Functions of the trials' values: not saved.
  std::size_t seen_top_ = 0;
  std::set<TrialId> seen_;
  std::vector<std::int64_t> steps_;
  RankingNoise noise_;
};

std::unique_ptr<Scheduler> make_pasha(const OptionReader& options, const SchedulerRequest& request) {
  return std::make_unique<Pasha>(read_promotion_options(options, request));
}

}  // namespace

SchedulerKind pasha_kind() {
  return {"pasha", "asha_promotion up to a maximum that grows only while rungs rank trials differently",
          promotion_options(), make_pasha};
}

}  // namespace finetune
