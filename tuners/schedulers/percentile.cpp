#include <algorithm>
#include <cmath>
#include <limits>

#include "tuners/options.h"
#include "tuners/schedulers/rank_agreement.h"
#include "tuners/schedulers/rungs.h"
#include "tuners/schedulers/schedulers.h"

namespace finetune {
namespace {

struct PercentileOptions {
  double percentile = 50;
  std::int64_t warmup_steps = 0, interval = 1, min_peers = 5;
  bool completed_only = false;
  std::int64_t max_steps = 1;
};

double best_so_far(const TrialRecord& trial) {
  double best = std::numeric_limits<double>::infinity();
  for (const auto& [step, value] : trial.values) best = std::min(best, value);
  return best;
}

std::vector<double> peers_at(const TrialRecord& trial, std::span<const TrialRecord> all, const PercentileOptions& options) {
  std::vector<double> values;
  for (const TrialRecord& peer : all) {
    if (peer.id == trial.id || peer.state == TrialState::failed) continue;
    if (options.completed_only && peer.state != TrialState::completed) continue;
    if (const auto value = value_at_step(peer, trial.step)) values.push_back(*value);
  }
  return values;
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

  void on_reports(std::span<const TrialRecord* const> reported, std::span<const TrialRecord> all, std::vector<Action>& actions) override {
    for (const TrialRecord* trial : reported) {
      if (trial->values.empty() || trial->values.back().first != trial->step || !is_due(*trial, options_)) continue;
      const std::vector<double> peers = peers_at(*trial, all, options_);
      if (peers.empty() || static_cast<std::int64_t>(peers.size()) < options_.min_peers) continue;
      if (best_so_far(*trial) > percentile_of(peers, options_.percentile)) {
        actions.push_back({.trial = trial->id, .what = Action::Do::stop,
                           .reason = "step " + std::to_string(trial->step) + ": worse than percentile " +
                                     std::to_string(static_cast<int>(options_.percentile)) + " of " + std::to_string(peers.size()) + " peers"});
      }
    }
  }

  std::optional<std::int64_t> next_milestone(TrialId, std::int64_t step) const override {
    const std::int64_t first = options_.warmup_steps + 1;
    if (step <= first) return first;
    return first + (step - first + options_.interval - 1) / options_.interval * options_.interval;
  }

 private:
  PercentileOptions options_;
};

std::unique_ptr<Scheduler> make(const SchedulerRequest& request, bool median) {
  OptionReader reader("tune.scheduler", request.options);
  PercentileOptions options;
  if (!median) options.percentile = reader.number("percentile", 50, 0, 100);
  options.warmup_steps = reader.whole("warmup_steps", 0, 0);
  options.interval = reader.whole("interval", 1, 1);
  options.min_peers = reader.whole("min_peers", 5, 1);
  options.completed_only = reader.choice("peers", "running", {"running", "completed"}) == "completed";
  reader.finish();
  options.max_steps = request.tuner.max_steps;
  return std::make_unique<Percentile>(options);
}

}  // namespace

std::unique_ptr<Scheduler> make_percentile(const SchedulerRequest& request) { return make(request, false); }
std::unique_ptr<Scheduler> make_median(const SchedulerRequest& request) { return make(request, true); }

}  // namespace finetune
