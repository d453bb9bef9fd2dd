#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>

#include "tuners/options.h"
#include "tuners/schedulers/level_guard.h"
#include "tuners/schedulers/rungs.h"
#include "tuners/schedulers/schedulers.h"

namespace finetune {
namespace {

struct PercentileOptions {
  double percentile = 50;
  std::int64_t warmup_steps = 0, interval = 1, min_peers = 5;
  bool completed_only = false, guard = false;
  std::int64_t max_steps = 1;
};

double best_so_far(const TrialRecord& trial) {
  double best = std::numeric_limits<double>::infinity();
  for (const auto& [step, value] : trial.values) best = std::min(best, value);
  return best;
}

// The values of all trials that count at one step, sorted: gathered once for all that are judged there.
std::vector<double> values_at(std::int64_t step, std::span<const TrialRecord> all, const PercentileOptions& options) {
  std::vector<double> values;
  for (const TrialRecord& peer : all) {
    if (peer.state == TrialState::failed) continue;
    if (options.completed_only && peer.state != TrialState::completed) continue;
    if (const auto value = value_at_step(peer, step)) values.push_back(*value);
  }
  std::sort(values.begin(), values.end());
  return values;
}

// The percentile of the sorted values without one of them, which is not its own peer.
double percentile_without(const std::vector<double>& sorted, std::size_t skipped, double percentile) {
  const auto at = [&](std::size_t k) { return sorted[k < skipped ? k : k + 1]; };
  const std::size_t count = sorted.size() - (skipped < sorted.size() ? 1 : 0);
  const double rank = percentile / 100 * static_cast<double>(count - 1);
  const auto low = static_cast<std::size_t>(std::floor(rank));
  const std::size_t high = std::min(low + 1, count - 1);
  return at(low) + (at(high) - at(low)) * (rank - static_cast<double>(low));
}

// Only the first report of an interval is judged, so sparse reports are not missed.
bool is_due(const TrialRecord& trial, const PercentileOptions& options) {
  if (trial.step <= options.warmup_steps) return false;
  const auto interval_of = [&](std::int64_t step) { return (step - options.warmup_steps - 1) / options.interval; };
  if (trial.values.size() < 2) return true;
  const std::int64_t before = trial.values[trial.values.size() - 2].first;
  return before <= options.warmup_steps || interval_of(before) != interval_of(trial.step);
}

class Percentile : public Scheduler {
 public:
  explicit Percentile(const PercentileOptions& options) : options_(options) {}

  void on_reports(std::span<const TrialRecord* const> reported, std::span<const TrialRecord> all,
                  std::vector<Action>& actions) override {
    if (options_.guard) guard_.compare_at_levels(reported);
    std::map<std::int64_t, std::vector<double>> by_step;
    for (const TrialRecord* trial : reported) {
      const auto own = fresh_value(*trial);
      if (!own || !is_due(*trial, options_) || !guard_.is_trusted_look(trial->step)) continue;
      if (!by_step.contains(trial->step)) by_step[trial->step] = values_at(trial->step, all, options_);
      judge(*trial, *own, by_step[trial->step], actions);
    }
  }

  std::optional<std::int64_t> next_milestone(TrialId, std::int64_t step) const override {
    return options_.warmup_steps + next_look(step - options_.warmup_steps, options_.interval);
  }

  nlohmann::json save() const override { return {{"agreements", guard_.save()}}; }
  void load(const nlohmann::json& state) override {
    Percentile loaded(options_);
    loaded.guard_.load(state.at("agreements"));
    *this = std::move(loaded);
  }

 private:
  void judge(const TrialRecord& trial, double own, const std::vector<double>& values,
             std::vector<Action>& actions) const {
    const auto counts =
        static_cast<std::size_t>(options_.completed_only ? 0 : 1);  // a running trial is among the values
    if (values.size() < counts + static_cast<std::size_t>(options_.min_peers)) return;
    const auto place = std::lower_bound(values.begin(), values.end(), own) - values.begin();
    const std::size_t skipped = options_.completed_only ? values.size() : static_cast<std::size_t>(place);
    if (best_so_far(trial) <= percentile_without(values, skipped, options_.percentile)) return;
    actions.push_back({.trial = trial.id,
                       .what = Action::Do::stop,
                       .reason = "step " + std::to_string(trial.step) + ": worse than percentile " +
                                 std::to_string(static_cast<int>(options_.percentile)) + " of " +
                                 std::to_string(values.size() - counts) + " peers"});
  }

  PercentileOptions options_;
  LevelGuard guard_{guard_levels(options_.warmup_steps, options_.interval, options_.max_steps), kSurvivors};
};

std::unique_ptr<Scheduler> make(const SchedulerRequest& request, bool median) {
  OptionReader reader("tune.scheduler", request.options);
  PercentileOptions options;
  if (!median) options.percentile = reader.number("percentile", 50, 0, 100);
  options.warmup_steps = reader.whole("warmup_steps", 0, 0);
  options.interval = reader.whole("interval", request.tuner.default_min_steps, 1);
  options.min_peers = reader.whole("min_peers", 5, 1);
  options.completed_only = reader.choice("peers", "running", {"running", "completed"}) == "completed";
  options.guard = reader.flag("guard", request.tuner.default_guard);
  reader.finish();
  options.max_steps = request.tuner.max_steps;
  return std::make_unique<Percentile>(options);
}

}  // namespace

std::unique_ptr<Scheduler> make_percentile(const SchedulerRequest& request) {
  return make(request, false);
}
std::unique_ptr<Scheduler> make_median(const SchedulerRequest& request) {
  return make(request, true);
}

}  // namespace finetune
