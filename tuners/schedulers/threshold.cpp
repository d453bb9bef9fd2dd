#include <cmath>
#include <limits>

#include "core/number.h"
#include "tuners/options.h"
#include "tuners/schedulers/rungs.h"
#include "tuners/schedulers/schedulers.h"

namespace finetune {
namespace {

class Threshold : public Scheduler {
 public:
  Threshold(double lower, double upper, std::int64_t warmup_steps, std::int64_t interval, Direction direction)
      : lower_(lower), upper_(upper), warmup_steps_(warmup_steps), interval_(interval), direction_(direction) {}

  void on_reports(std::span<const TrialRecord* const> reported, std::span<const TrialRecord>,
                  std::vector<Action>& actions) override {
    for (const TrialRecord* trial : reported) {
      if (trial->values.empty() || trial->values.back().first != trial->step || trial->step <= warmup_steps_) continue;
      const double value = to_minimized(trial->values.back().second, direction_);  // back in the user's direction
      if (value >= lower_ && value <= upper_) continue;
      actions.push_back({.trial = trial->id,
                         .what = Action::Do::stop,
                         .reason = number_to_text(value) + (value < lower_ ? " is below " + number_to_text(lower_)
                                                                           : " is above " + number_to_text(upper_))});
    }
  }
  std::optional<std::int64_t> next_milestone(TrialId, std::int64_t step) const override {
    return next_look(std::max(step, warmup_steps_ + 1), interval_);
  }
  Looks looks() const override { return {.interval = interval_}; }
  bool acts_at_milestones_only() const override { return true; }

 private:
  double lower_, upper_;
  std::int64_t warmup_steps_, interval_;
  Direction direction_;
};

std::unique_ptr<Scheduler> make_threshold(const OptionReader& options, const SchedulerRequest& request) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const auto lower = options.number_if_given("lower"), upper = options.number_if_given("upper");
  if (!lower && !upper) options.refuse("lower", "or upper must be given");
  if (lower && upper && *lower > *upper) options.refuse("lower", "must be at most upper");
  return std::make_unique<Threshold>(lower.value_or(-kInfinity), upper.value_or(kInfinity),
                                     options.whole("warmup_steps"), request.tuner.default_min_steps,
                                     request.tuner.direction);
}

}  // namespace

SchedulerKind threshold_kind() {
  constexpr double kAny = OptionSpec::kNoLimit;
  return {"threshold",
          "stops a trial whose metric leaves the bounds; one of them must be given",
          {without(number_option("lower", "stops below it", std::nullopt, -kAny), "no bound"),
           without(number_option("upper", "stops above it", std::nullopt, -kAny), "no bound"),
           whole_option("warmup_steps", "nobody is stopped at these steps", 0, 0)},
          make_threshold};
}

}  // namespace finetune
