#include "tuners/options.h"
#include "tuners/schedulers/schedulers.h"

namespace finetune {
namespace {

class None : public Scheduler {
 public:
  void on_reports(std::span<const TrialRecord* const>, std::span<const TrialRecord>, std::vector<Action>&) override {}
  std::optional<std::int64_t> next_milestone(TrialId, std::int64_t) const override { return std::nullopt; }
  Looks looks() const override { return {}; }
  bool acts_at_milestones_only() const override { return true; }
};

std::unique_ptr<Scheduler> make_none(const OptionReader&, const SchedulerRequest&) {
  return std::make_unique<None>();
}

}  // namespace

SchedulerKind none_kind() {
  return {.name = "none", .what = "every trial runs to the end", .options = {}, .make = make_none, .stops_none = true};
}

}  // namespace finetune
