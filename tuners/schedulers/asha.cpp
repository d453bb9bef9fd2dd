#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "tuners/schedulers/rungs.h"
#include "tuners/schedulers/schedulers.h"

namespace finetune {
namespace {

class Asha : public Scheduler {
 public:
  Asha(std::vector<std::int64_t> rungs, std::int64_t eta) : rungs_(std::move(rungs)), eta_(eta) {}

  // Trials that reach a rung in the same round are entered first and judged together.
  void on_reports(std::span<const TrialRecord* const> reported, std::span<const TrialRecord>,
                  std::vector<Action>& actions) override {
    std::map<std::int64_t, std::vector<RungEntry>> arrived;
    for (const TrialRecord* trial : reported) {
      const auto value = fresh_value(*trial);
      if (!value || !std::binary_search(rungs_.begin(), rungs_.end(), trial->step)) continue;
      enter(entries_[trial->step], {*value, trial->id});
      arrived[trial->step].emplace_back(*value, trial->id);
    }
    for (const auto& [step, cohort] : arrived) {
      const RungEntries& rung = entries_[step];
      stop_losers(rung, step, cohort, survivors(static_cast<std::int64_t>(rung.size()), eta_), actions);
    }
  }

  std::optional<std::int64_t> next_milestone(TrialId, std::int64_t step) const override {
    return next_rung(rungs_, step);
  }

  nlohmann::json save() const override {
    auto json = nlohmann::json::array();
    for (const auto& [step, rung] : entries_) json.push_back({step, rung_to_json(rung)});
    return json;
  }
  void load(const nlohmann::json& state) override {
    std::map<std::int64_t, RungEntries> entries;
    for (const auto& rung : state) entries[rung.at(0).get<std::int64_t>()] = rung_from_json(rung.at(1));
    entries_ = std::move(entries);
  }

 private:
  std::vector<std::int64_t> rungs_;
  std::int64_t eta_;
  std::map<std::int64_t, RungEntries> entries_;
};

}  // namespace

std::unique_ptr<Scheduler> make_asha(const SchedulerRequest& request) {
  OptionReader options("tune.scheduler", request.options);
  const RungOptions rungs = read_rung_options(options, request.tuner);
  options.finish();
  return std::make_unique<Asha>(rung_steps(rungs.min_steps, rungs.reduction_factor, request.tuner.max_steps),
                                rungs.reduction_factor);
}

}  // namespace finetune
