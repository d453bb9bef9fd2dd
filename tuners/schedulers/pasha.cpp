#include <algorithm>

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
  bool is_ranking_stable(std::span<const TrialRecord> all) const {
    if (top() == 0) return true;
    std::vector<double> lower, higher;
    for (const auto& [value, id] : levels()[top()].entries) {
      const TrialRecord& trial = all[static_cast<std::size_t>(id.value)];
      const auto *below = value_from(trial, levels()[top() - 1].step), *here = value_from(trial, levels()[top()].step);
      if (below == here) continue;
      lower.push_back(below->second);
      higher.push_back(here->second);
    }
    return !lower.empty() && ranks_alike(lower, higher, ranking_noise(curves_to_top(all)));
  }

  // The curves of the trials at the top level over the steps that all of them have reported.
  std::vector<std::vector<double>> curves_to_top(std::span<const TrialRecord> all) const {
    std::vector<const TrialRecord*> trials;
    for (const auto& [value, id] : levels()[top()].entries) trials.push_back(&all[static_cast<std::size_t>(id.value)]);
    std::vector<std::vector<double>> curves(trials.size());
    for (const auto& [step, value] : trials.front()->values) {
      const auto has_step = [step = step](const TrialRecord* trial) { return value_at_step(*trial, step).has_value(); };
      if (step > levels()[top()].step || !std::all_of(trials.begin(), trials.end(), has_step)) continue;
      for (std::size_t i = 0; i < trials.size(); ++i) curves[i].push_back(*value_at_step(*trials[i], step));
    }
    return curves;
  }
};

}  // namespace

std::unique_ptr<Scheduler> make_pasha(const SchedulerRequest& request) {
  return std::make_unique<Pasha>(read_promotion_options(request));
}

}  // namespace finetune
