#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "tuners/options.h"
#include "tuners/schedulers/rungs.h"
#include "tuners/schedulers/schedulers.h"
#include "tuners/schedulers/wilcoxon_test.h"

namespace finetune {
namespace {

struct WilcoxonOptions {
  double p_threshold = 0.1;
  std::int64_t warmup_steps = 2;  // pairs needed
  std::int64_t interval = 1;      // steps from look to look
  bool completed_only = false;
};

// Highest step, then best last value, then lowest id: the trial to beat.
const TrialRecord* leader(std::span<const TrialRecord> all, bool completed_only) {
  const TrialRecord* best = nullptr;
  for (const TrialRecord& trial : all) {
    if (trial.values.empty() || trial.state == TrialState::failed) continue;
    if (completed_only && trial.state != TrialState::completed) continue;
    if (best != nullptr) {
      const auto [step, value] = trial.values.back();
      const auto [best_step, best_value] = best->values.back();
      if (step < best_step || (step == best_step && value >= best_value)) continue;
    }
    best = &trial;
  }
  return best;
}

// The trial's value less the leader's at each step that both have.
std::vector<double> paired_differences(const TrialRecord& trial, const TrialRecord& leader) {
  std::vector<double> differences;
  auto other = leader.values.begin();
  for (const auto& [step, value] : trial.values) {
    while (other != leader.values.end() && other->first < step) ++other;
    if (other != leader.values.end() && other->first == step) differences.push_back(value - other->second);
  }
  return differences;
}

double sum_of(std::span<const double> values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum;
}

class Wilcoxon : public Scheduler {
 public:
  explicit Wilcoxon(const WilcoxonOptions& options) : options_(options) {}

  void on_reports(std::span<const TrialRecord* const> reported, std::span<const TrialRecord> all,
                  std::vector<Action>& actions) override {
    const TrialRecord* best = nullptr;
    for (const TrialRecord* trial : reported) {
      if (!fresh_value(*trial)) continue;
      if (best == nullptr) best = leader(all, options_.completed_only);
      if (best == nullptr || best->id == trial->id || !is_worth_testing(*trial, *best)) continue;
      if (!is_worse(*trial, *best)) continue;
      actions.push_back({.trial = trial->id,
                         .what = Action::Do::stop,
                         .reason = "step " + std::to_string(trial->step) + ": significantly worse than trial " +
                                   std::to_string(best->id.value)});
      next_tests_.erase(trial->id);
    }
  }

  void on_end(const TrialRecord& trial, std::span<const TrialRecord>, std::vector<Action>&) override {
    next_tests_.erase(trial.id);
  }

  std::optional<std::int64_t> next_milestone(TrialId, std::int64_t step) const override {
    return next_look(step, options_.interval);
  }
  Looks looks() const override { return {.interval = options_.interval}; }
  bool acts_at_milestones_only() const override { return true; }
  void load(const nlohmann::json&, std::span<const TrialRecord>) override { next_tests_.clear(); }

 private:
  // A test reads the whole history, and one that fails says for how long the next ones must fail too. A value brings at
  // most one pair: the leader is ahead.
  bool is_worth_testing(const TrialRecord& trial, const TrialRecord& leader) {
    return trial.values.size() >= next_tests_[trial.id][leader.id];
  }

  bool is_worse(const TrialRecord& trial, const TrialRecord& leader) {
    const std::vector<double> differences = paired_differences(trial, leader);
    const bool enough = static_cast<std::int64_t>(differences.size()) >= options_.warmup_steps;
    if (enough && sum_of(differences) > 0 && test_.greater(differences) < options_.p_threshold) return true;
    const auto idle = static_cast<std::size_t>(test_.idle(differences, options_.p_threshold));
    next_tests_[trial.id][leader.id] = trial.values.size() + idle + 1;
    return false;
  }

  WilcoxonOptions options_;
  WilcoxonTest test_;
  // By trial and leader: how many values the trial must have for a test to be able to succeed. Not saved.
  std::map<TrialId, std::map<TrialId, std::size_t>> next_tests_;
};

std::unique_ptr<Scheduler> make_wilcoxon(const OptionReader& reader, const SchedulerRequest& request) {
  WilcoxonOptions options;
  options.p_threshold = reader.number("p_threshold");
  options.warmup_steps = reader.whole("warmup_steps");
  options.completed_only = reader.choice("peers") == "completed";
  options.interval = request.tuner.default_min_steps;
  return std::make_unique<Wilcoxon>(options);
}

}  // namespace

SchedulerKind wilcoxon_kind() {
  return {"wilcoxon",
          "stops a trial that is worse than the leader step by step, by a signed-rank test",
          {number_option("p_threshold", "stops below this probability of being no worse", 0.1, 0, 1),
           whole_option("warmup_steps", "steps that both must have a value at", 2, 0),
           choice_option("peers", "who may be the leader", {"running", "completed"})},
          make_wilcoxon};
}

}  // namespace finetune
