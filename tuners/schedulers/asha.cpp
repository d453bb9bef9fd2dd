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
  void on_reports(std::span<const TrialRecord* const> reported, std::span<const TrialRecord>, std::vector<Action>& actions) override {
    std::vector<const TrialRecord*> judged;
    for (const TrialRecord* trial : reported) {
      if (trial->values.empty() || trial->values.back().first != trial->step) continue;
      if (!std::binary_search(rungs_.begin(), rungs_.end(), trial->step)) continue;
      entries_[trial->step].emplace_back(trial->values.back().second, trial->id);
      judged.push_back(trial);
    }
    for (const TrialRecord* trial : judged) {
      const RungEntries& rung = entries_[trial->step];
      const auto n = static_cast<std::int64_t>(rung.size());
      if (is_among_best(rung, trial->id, survivors(n, eta_))) continue;
      actions.push_back({.trial = trial->id, .what = Action::Do::stop,
                         .reason = "rung " + std::to_string(trial->step) + ": not among the best " +
                                   std::to_string(survivors(n, eta_)) + " of " + std::to_string(n)});
    }
  }

  std::optional<std::int64_t> next_milestone(TrialId, std::int64_t step) const override { return next_rung(rungs_, step); }

  nlohmann::json save() const override {
    auto json = nlohmann::json::array();
    for (const auto& [step, rung] : entries_) {
      auto list = nlohmann::json::array();
      for (const auto& [value, trial] : rung) list.push_back({value, trial.value});
      json.push_back({step, list});
    }
    return json;
  }
  void load(const nlohmann::json& state) override {
    std::map<std::int64_t, RungEntries> entries;
    for (const auto& rung : state) {
      for (const auto& entry : rung.at(1)) {
        entries[rung.at(0).get<std::int64_t>()].emplace_back(entry.at(0).get<double>(), TrialId{entry.at(1).get<std::int64_t>()});
      }
    }
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
  return std::make_unique<Asha>(rung_steps(rungs.min_steps, rungs.reduction_factor, request.tuner.max_steps), rungs.reduction_factor);
}

}  // namespace finetune
