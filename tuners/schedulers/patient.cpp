#include <algorithm>
#include <limits>

#include "tuners/options.h"
#include "tuners/schedulers/schedulers.h"

namespace finetune {
namespace {

double best_of(std::span<const std::pair<std::int64_t, double>> values) {
  double best = std::numeric_limits<double>::infinity();
  for (const auto& [step, value] : values) best = std::min(best, value);
  return best;
}

class Patient : public Scheduler {
 public:
  Patient(std::int64_t patience, double min_delta) : patience_(patience), min_delta_(min_delta) {}

  void on_reports(std::span<const TrialRecord* const> reported, std::span<const TrialRecord>,
                  std::vector<Action>& actions) override {
    const auto recent = static_cast<std::size_t>(patience_) + 1;
    for (const TrialRecord* trial : reported) {
      if (trial->values.empty() || trial->values.back().first != trial->step || trial->values.size() <= recent)
        continue;
      const std::span<const std::pair<std::int64_t, double>> values(trial->values);
      const std::size_t split = values.size() - recent;
      if (best_of(values.subspan(split)) > best_of(values.first(split)) + min_delta_) {
        actions.push_back({.trial = trial->id,
                           .what = Action::Do::stop,
                           .reason = "no improvement in the last " + std::to_string(recent) + " evaluations"});
      }
    }
  }
  std::optional<std::int64_t> next_milestone(TrialId, std::int64_t step) const override { return step; }

 private:
  std::int64_t patience_;
  double min_delta_;
};

}  // namespace

std::unique_ptr<Scheduler> make_patient(const SchedulerRequest& request) {
  OptionReader options("tune.scheduler", request.options);
  const std::int64_t patience = options.whole("patience", 3, 0);
  const double min_delta = options.number("min_delta", 0, 0, std::numeric_limits<double>::max());
  options.finish();
  return std::make_unique<Patient>(patience, min_delta);
}

}  // namespace finetune
