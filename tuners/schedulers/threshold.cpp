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

 private:
  double lower_, upper_;
  std::int64_t warmup_steps_, interval_;
  Direction direction_;
};

}  // namespace

std::unique_ptr<Scheduler> make_threshold(const SchedulerRequest& request) {
  OptionReader options("tune.scheduler", request.options);
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const auto lower = options.optional_number("lower"), upper = options.optional_number("upper");
  const std::int64_t warmup = options.whole("warmup_steps", 0, 0);
  options.finish();
  if (!lower && !upper) options.refuse("lower", "or upper must be given");
  if (lower && upper && *lower > *upper) options.refuse("lower", "must be at most upper");
  return std::make_unique<Threshold>(lower.value_or(-kInfinity), upper.value_or(kInfinity), warmup,
                                     request.tuner.default_min_steps, request.tuner.direction);
}

}  // namespace finetune
