#include "tuners/options.h"
#include "tuners/schedulers/schedulers.h"

namespace finetune {
namespace {

class None : public Scheduler {
 public:
  void on_reports(std::span<const TrialRecord* const>, std::span<const TrialRecord>, std::vector<Action>&) override {}
  std::optional<std::int64_t> next_milestone(TrialId, std::int64_t) const override { return std::nullopt; }
  Looks looks() const override { return {}; }
};

}  // namespace

std::unique_ptr<Scheduler> make_none(const SchedulerRequest& request) {
  OptionReader("tune.scheduler", request.options).finish();
  return std::make_unique<None>();
}

}  // namespace finetune
