#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "tuners/saved_state.h"
#include "tuners/schedulers/level_guard.h"
#include "tuners/schedulers/rungs.h"
#include "tuners/schedulers/schedulers.h"

namespace finetune {
namespace {

class Asha : public Scheduler {
 public:
  Asha(std::vector<std::int64_t> rungs, std::int64_t max_steps, std::int64_t eta, bool guard)
      : rungs_(std::move(rungs)), max_steps_(max_steps), eta_(eta), guarded_(guard) {}

  // Trials that reach a rung in the same round are entered first and judged together; who reaches several is judged at
  // the lowest first.
  void on_reports(std::span<const TrialRecord* const> reported, std::span<const TrialRecord>,
                  std::vector<Action>& actions) override {
    const std::vector<const TrialRecord*> arriving = that_reach(guard_.levels(), reported);
    if (guarded_) guard_.compare(arriving);
    const std::size_t first = actions.size();
    for (const std::int64_t step : rungs_) {
      const auto cohort = arrivals(arriving, step, std::span(actions).subspan(first));
      if (!cohort.empty()) judge(step, cohort, actions);
    }
  }

  std::optional<std::int64_t> next_milestone(TrialId, std::int64_t step) const override {
    return next_rung(rungs_, step);
  }
  Looks looks() const override { return {.rungs = rungs_, .distrusted = guard_.distrusted()}; }
  bool acts_at_milestones_only() const override { return true; }

  nlohmann::json save() const override {
    auto entries = nlohmann::json::array();
    for (const auto& [step, rung] : entries_) entries.push_back({step, rung_to_json(rung)});
    return {{"entries", entries}, {"agreements", guard_.save()}};
  }
  void load(const nlohmann::json& state, std::span<const TrialRecord> trials) override {
    Asha loaded(rungs_, max_steps_, eta_, guarded_);
    for (const auto& rung : state.at("entries"))
      loaded.entries_[count_from(rung.at(0))] = rung_from_json(rung.at(1), trials);
    loaded.guard_.load(state.at("agreements"), trials.size());
    *this = std::move(loaded);
  }

 private:
  static std::vector<std::int64_t> with(std::vector<std::int64_t> rungs, std::int64_t max_steps) {
    rungs.push_back(max_steps);
    return rungs;
  }

  void judge(std::int64_t step, std::span<const RungEntry> cohort, std::vector<Action>& actions) {
    RungEntries& rung = entries_[step];
    for (const RungEntry& entry : cohort) enter(rung, entry);
    if (!guard_.is_trusted_step(step)) return;
    stop_losers(rung, step, cohort, survivors(static_cast<std::int64_t>(rung.size()), eta_), actions);
  }

  std::vector<std::int64_t> rungs_;
  std::int64_t max_steps_, eta_;
  bool guarded_;
  LevelGuard guard_{with(rungs_, max_steps_), kSurvivors};
  std::map<std::int64_t, RungEntries> entries_;
};

std::unique_ptr<Scheduler> make_asha(const OptionReader& options, const SchedulerRequest& request) {
  const RungOptions rungs = read_rung_options(options, request.tuner);
  const std::int64_t eta = rungs.reduction_factor, max_steps = request.tuner.max_steps;
  return std::make_unique<Asha>(rung_steps(rungs.min_steps, eta, max_steps), max_steps, eta,
                                options.flag("guard", request.tuner.default_guard));
}

}  // namespace

SchedulerKind asha_kind() {
  return {"asha",
          "successive halving without waiting: stops who is not among the best at a rung",
          {min_steps_option(), reduction_factor_option(), guard_option()},
          make_asha};
}

}  // namespace finetune
