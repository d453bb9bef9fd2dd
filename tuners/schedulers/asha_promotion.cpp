#include "tuners/schedulers/promotion.h"
#include "tuners/schedulers/schedulers.h"

namespace finetune {
namespace {

std::unique_ptr<Scheduler> make_asha_promotion(const OptionReader& options, const SchedulerRequest& request) {
  return std::make_unique<Promotion>(read_promotion_options(options, request));
}

}  // namespace

SchedulerKind asha_promotion_kind() {
  return {"asha_promotion",
          "successive halving by promotion: trials pause at rungs, the best go on",
          promotion_options(),
          make_asha_promotion,
          false,
          false,
          true};
}

}  // namespace finetune
