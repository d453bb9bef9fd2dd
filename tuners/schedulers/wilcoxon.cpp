#include <algorithm>
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
      if (best == nullptr || best->id == trial->id) continue;
      const std::vector<double> differences = paired_differences(*trial, *best);
      if (static_cast<std::int64_t>(differences.size()) < options_.warmup_steps || sum_of(differences) <= 0) continue;
      if (wilcoxon_greater(differences) >= options_.p_threshold) continue;
      actions.push_back({.trial = trial->id,
                         .what = Action::Do::stop,
                         .reason = "step " + std::to_string(trial->step) + ": significantly worse than trial " +
                                   std::to_string(best->id.value)});
    }
  }
  std::optional<std::int64_t> next_milestone(TrialId, std::int64_t step) const override {
    return next_look(step, options_.interval);
  }
  Looks looks() const override { return {.interval = options_.interval}; }

 private:
  WilcoxonOptions options_;
};

}  // namespace

std::unique_ptr<Scheduler> make_wilcoxon(const SchedulerRequest& request) {
  OptionReader reader("tune.scheduler", request.options);
  WilcoxonOptions options;
  options.p_threshold = reader.number("p_threshold", 0.1, 0, 1);
  options.warmup_steps = reader.whole("warmup_steps", 2, 0);
  options.completed_only = reader.choice("peers", "running", {"running", "completed"}) == "completed";
  reader.finish();
  options.interval = request.tuner.default_min_steps;
  return std::make_unique<Wilcoxon>(options);
}

}  // namespace finetune
