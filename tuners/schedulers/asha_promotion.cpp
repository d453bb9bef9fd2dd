#include "tuners/schedulers/promotion.h"
#include "tuners/schedulers/schedulers.h"

namespace finetune {

std::unique_ptr<Scheduler> make_asha_promotion(const SchedulerRequest& request) {
  return std::make_unique<Promotion>(read_promotion_options(request));
}

}  // namespace finetune
