#include <algorithm>
#include <nlohmann/json.hpp>

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

  void load(const nlohmann::json& state, std::span<const TrialRecord> trials) override {
    Promotion::load(state, trials);
    forget();
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

  bool is_ranking_stable(std::span<const TrialRecord> all) {
    if (top() == 0) return true;
    take_in(all);
    if (ranking_.empty()) return false;
    if (ranking_.is_alike(0)) return true;  // whatever epsilon is: it costs a comparison of each curve with all others
    for (const TrialId id : uncompared_) noise_.add(curve_of(all[static_cast<std::size_t>(id.value)]));
    uncompared_.clear();
    return ranking_.is_alike(noise_.epsilon());
  }

  // The trials that are new at the top level; all of them anew where one has left it, or has not all the steps that
  // curves are compared over.
  void take_in(std::span<const TrialRecord> all) {
    const RungEntries& entries = levels()[top()].entries;
    std::vector<const TrialRecord*> fresh;
    for (const auto& [value, id] : entries) {
      const auto index = static_cast<std::size_t>(id.value);
      if (index >= is_seen_.size() || !is_seen_[index]) fresh.push_back(&all[index]);
    }
    const bool left = seen_ + fresh.size() != entries.size();
    if (seen_top_ != top() || left || !have_steps(fresh)) {
      forget();
      fresh.clear();
      seen_top_ = top();
      for (const RungEntry& entry : entries) fresh.push_back(&all[static_cast<std::size_t>(entry.second.value)]);
      choose_steps(fresh);
    }
    is_seen_.resize(all.size());
    for (const TrialRecord* trial : fresh) note(*trial);
  }

  void forget() {
    seen_ = 0;
    is_seen_.clear();
    steps_.clear();
    uncompared_.clear();
    ranking_ = {};
    noise_ = {};
  }

  // Those that all trials have reported, up to the top level.
  void choose_steps(std::span<const TrialRecord* const> trials) {
    for (const auto& [step, value] : trials.front()->values) {
      if (step <= levels()[top()].step) steps_.push_back(step);
    }
    std::erase_if(steps_, [&](std::int64_t step) {
      return std::any_of(trials.begin(), trials.end(),
                         [&](const TrialRecord* trial) { return !value_at_step(*trial, step).has_value(); });
    });
  }

  bool have_steps(std::span<const TrialRecord* const> trials) const {
    return std::all_of(trials.begin(), trials.end(), [&](const TrialRecord* trial) {
      return std::all_of(steps_.begin(), steps_.end(),
                         [&](std::int64_t step) { return value_at_step(*trial, step).has_value(); });
    });
  }

  void note(const TrialRecord& trial) {
    // Only who reported between the two levels says whether they rank alike; with nobody they may well not.
    const auto *below = value_from(trial, levels()[top() - 1].step), *here = value_from(trial, levels()[top()].step);
    if (below != here) ranking_.add(trial.id, below->second, here->second);
    uncompared_.push_back(trial.id);
    is_seen_[static_cast<std::size_t>(trial.id.value)] = true;
    ++seen_;
  }

  std::vector<double> curve_of(const TrialRecord& trial) const {
    std::vector<double> curve;
    for (const std::int64_t step : steps_) curve.push_back(*value_at_step(trial, step));
    return curve;
  }

  // Functions of the trials' values: not saved.
  std::size_t seen_top_ = 0;
  std::size_t seen_ = 0;
  std::vector<bool> is_seen_;  // by trial
  std::vector<std::int64_t> steps_;
  SoftRanking ranking_;
  RankingNoise noise_;
  std::vector<TrialId> uncompared_;  // whose curves are not in noise_ yet
};

std::unique_ptr<Scheduler> make_pasha(const OptionReader& options, const SchedulerRequest& request) {
  return std::make_unique<Pasha>(read_promotion_options(options, request));
}

}  // namespace

SchedulerKind pasha_kind() {
  return {"pasha",
          "asha_promotion up to a maximum that grows only while rungs rank trials differently",
          promotion_options(),
          make_pasha,
          false,
          false,
          true};
}

}  // namespace finetune
