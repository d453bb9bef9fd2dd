#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "tuners/options.h"
#include "tuners/schedulers/level_guard.h"
#include "tuners/schedulers/peer_values.h"
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

// The percentile of the sorted values without one of them, which is not its own peer.
double percentile_without(const std::vector<double>& sorted, std::size_t skipped, double percentile) {
  const auto at = [&](std::size_t k) { return sorted[k < skipped ? k : k + 1]; };
  const std::size_t count = sorted.size() - (skipped < sorted.size() ? 1 : 0);
  const double rank = percentile / 100 * static_cast<double>(count - 1);
  const auto low = static_cast<std::size_t>(std::floor(rank));
  const std::size_t high = std::min(low + 1, count - 1);
  return at(low) + (at(high) - at(low)) * (rank - static_cast<double>(low));
}

class Percentile : public Scheduler {
 public:
  explicit Percentile(const PercentileOptions& options) : options_(options) {}

  // All of a round are among the values before one is judged.
  void on_reports(std::span<const TrialRecord* const> reported, std::span<const TrialRecord> all,
                  std::vector<Action>& actions) override {
    if (options_.guard) guard_.compare(reported);
    take_all_once(all);
    for (const TrialRecord* trial : reported) peers_.take(*trial);
    for (const TrialRecord* trial : reported) {
      if (!fresh_value(*trial) || !guard_.is_trusted_look(trial->step)) continue;
      const auto looks = peers_.reached(*trial);
      for (std::int64_t look = looks.first; look < looks.last; ++look) {
        if (stops(*trial, peers_.at(look, all), actions)) break;
      }
    }
  }

  void on_end(const TrialRecord& trial, std::span<const TrialRecord> all, std::vector<Action>&) override {
    take_all_once(all);
    peers_.take(trial);
  }

  std::optional<std::int64_t> next_milestone(TrialId, std::int64_t step) const override {
    return options_.warmup_steps + next_look(step - options_.warmup_steps, options_.interval);
  }

  Looks looks() const override { return {.interval = options_.interval, .distrusted = guard_.distrusted()}; }
  bool acts_at_milestones_only() const override { return true; }

  nlohmann::json save() const override { return {{"agreements", guard_.save()}}; }
  void load(const nlohmann::json& state, std::span<const TrialRecord> trials) override {
    Percentile loaded(options_);
    loaded.guard_.load(state.at("agreements"), trials.size());
    *this = std::move(loaded);
  }

 private:
  // After a load the trials are there before their values are.
  void take_all_once(std::span<const TrialRecord> all) {
    if (std::exchange(has_taken_all_, true)) return;
    for (const TrialRecord& trial : all) peers_.take(trial);
  }

  bool stops(const TrialRecord& trial, const std::vector<double>& values, std::vector<Action>& actions) const {
    const auto counts =
        static_cast<std::size_t>(options_.completed_only ? 0 : 1);  // a running trial is among the values
    if (values.size() < counts + static_cast<std::size_t>(options_.min_peers)) return false;
    const double own = trial.values.back().second;
    const auto place = std::lower_bound(values.begin(), values.end(), own) - values.begin();
    const std::size_t skipped = options_.completed_only ? values.size() : static_cast<std::size_t>(place);
    if (peers_.best_of(trial.id) <= percentile_without(values, skipped, options_.percentile)) return false;
    actions.push_back({.trial = trial.id,
                       .what = Action::Do::stop,
                       .reason = "step " + std::to_string(trial.step) + ": worse than percentile " +
                                 std::to_string(static_cast<int>(options_.percentile)) + " of " +
                                 std::to_string(values.size() - counts) + " peers"});
    return true;
  }

  PercentileOptions options_;
  PeerValues peers_{options_.warmup_steps, options_.interval, options_.completed_only};
  bool has_taken_all_ = false;
  LevelGuard guard_{guard_levels(options_.warmup_steps, options_.interval, options_.max_steps), kSurvivors};
};

std::unique_ptr<Scheduler> make_percentile_or_median(const OptionReader& reader, const SchedulerRequest& request,
                                                     bool median) {
  PercentileOptions options;
  if (!median) options.percentile = reader.number("percentile");
  options.warmup_steps = reader.whole("warmup_steps");
  options.interval = reader.whole("interval", request.tuner.default_min_steps);
  options.min_peers = reader.whole("min_peers");
  options.completed_only = reader.choice("peers") == "completed";
  options.guard = reader.flag("guard", request.tuner.default_guard);
  options.max_steps = request.tuner.max_steps;
  return std::make_unique<Percentile>(options);
}

std::unique_ptr<Scheduler> make_percentile(const OptionReader& options, const SchedulerRequest& request) {
  return make_percentile_or_median(options, request, false);
}
std::unique_ptr<Scheduler> make_median(const OptionReader& options, const SchedulerRequest& request) {
  return make_percentile_or_median(options, request, true);
}

std::vector<OptionSpec> shared_options() {
  return {whole_option("warmup_steps", "nobody is stopped at these steps", 0, 0),
          without(whole_option("interval", "steps from look to look", std::nullopt, 1),
                  "a tenth of the budget, in asktell 1"),
          whole_option("min_peers", "other trials with a value that a look needs", 5, 1),
          choice_option("peers", "who is compared with", {"running", "completed"}), guard_option()};
}

}  // namespace

SchedulerKind percentile_kind() {
  std::vector<OptionSpec> options = shared_options();
  options.insert(options.begin(), number_option("percentile", "which one: 25 keeps the best quarter", 50.0, 0, 100));
  return {"percentile", "stops a trial whose best value is worse than a percentile of its peers'", options,
          make_percentile};
}

SchedulerKind median_kind() {
  return {"median", "percentile with percentile 50", shared_options(), make_median};
}

}  // namespace finetune
