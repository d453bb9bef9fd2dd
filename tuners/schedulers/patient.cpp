#include <algorithm>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>

#include "tuners/options.h"
#include "tuners/schedulers/rungs.h"
#include "tuners/schedulers/schedulers.h"

namespace finetune {
namespace {

class Patient : public Scheduler {
 public:
  Patient(std::int64_t patience, double min_delta, std::int64_t interval)
      : patience_(patience), min_delta_(min_delta), interval_(interval) {}

  void on_reports(std::span<const TrialRecord* const> reported, std::span<const TrialRecord>,
                  std::vector<Action>& actions) override {
    const auto recent = static_cast<std::size_t>(patience_) + 1;
    for (const TrialRecord* trial : reported) {
      const auto& values = trial->values;
      if (values.empty() || values.back().first != trial->step || values.size() <= recent) continue;
      const double before = best_of_first(*trial, values.size() - recent);
      double last = std::numeric_limits<double>::infinity();
      for (std::size_t i = values.size() - recent; i < values.size(); ++i) last = std::min(last, values[i].second);
      if (last > before + min_delta_) {
        actions.push_back({.trial = trial->id,
                           .what = Action::Do::stop,
                           .reason = "no improvement in the last " + std::to_string(recent) + " evaluations"});
      }
    }
  }
  std::optional<std::int64_t> next_milestone(TrialId, std::int64_t step) const override {
    return next_look(step, interval_);
  }
  Looks looks() const override { return {.interval = interval_}; }
  bool acts_at_milestones_only() const override { return true; }
  void load(const nlohmann::json&, std::span<const TrialRecord>) override { prefixes_.clear(); }

 private:
  // Goes on from where it was at the report before, so that a report costs the same however long the trial is.
  struct Prefix {
    std::size_t count = 0;
    double best = std::numeric_limits<double>::infinity();
  };
  double best_of_first(const TrialRecord& trial, std::size_t count) {
    Prefix& prefix = prefixes_[trial.id];
    for (; prefix.count < count; ++prefix.count) prefix.best = std::min(prefix.best, trial.values[prefix.count].second);
    return prefix.best;
  }

  std::int64_t patience_;
  double min_delta_;
  std::int64_t interval_;               // steps from look to look
  std::map<TrialId, Prefix> prefixes_;  // a function of the trials' values: not saved
};

std::unique_ptr<Scheduler> make_patient(const OptionReader& options, const SchedulerRequest& request) {
  return std::make_unique<Patient>(options.whole("patience"), options.number("min_delta"),
                                   request.tuner.default_min_steps);
}

}  // namespace

SchedulerKind patient_kind() {
  return {"patient",
          "stops a trial that has not improved for a while",
          {whole_option("patience", "values without improvement, besides the last, that are waited for", 3, 0),
           number_option("min_delta", "worse by no more than this is not worse", 0.0, 0)},
          make_patient};
}

}  // namespace finetune
