#include "tuners/schedulers/promotion.h"
#include "tuners/schedulers/schedulers.h"

namespace finetune {

std::unique_ptr<Scheduler> make_asha_promotion(const SchedulerRequest& request) {
  OptionReader options("tune.scheduler", request.options);
  const RungOptions rungs = read_rung_options(options, request.tuner);
  const bool guard = options.flag("guard", request.tuner.default_guard);
  options.finish();
  std::vector<std::int64_t> levels = rung_steps(rungs.min_steps, rungs.reduction_factor, request.tuner.max_steps);
  levels.push_back(request.tuner.max_steps);
  return std::make_unique<Promotion>(std::move(levels), rungs.reduction_factor, guard);
}

}  // namespace finetune
