#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "core/error.h"
#include "tuners/saved_state.h"
#include "tuners/schedulers/cut_size.h"
#include "tuners/schedulers/rungs.h"
#include "tuners/schedulers/schedulers.h"

namespace finetune {
namespace {

struct CutOptions {
  std::vector<std::int64_t> rungs;  // the cut; none where it would lie at the end
  std::int64_t keep = 1, max_steps = 1;
  std::optional<std::int64_t> trials;  // no more are wanted
};

class Cut : public Scheduler {
 public:
  explicit Cut(CutOptions options) : options_(std::move(options)) {}

  void on_start(const TrialRecord& trial) override {
    ++started_;
    on_the_way_.insert(trial.id);
  }

  void on_reports(std::span<const TrialRecord* const> reported, std::span<const TrialRecord>,
                  std::vector<Action>& actions) override {
    for (const TrialRecord* trial : reported) {
      // Who has its full budget is about to end by itself.
      if (rungs_reached(options_.rungs, *trial).empty() || trial->step >= options_.max_steps) continue;
      if (on_the_way_.erase(trial->id) == 0) continue;
      enter(waiting_, {*fresh_value(*trial), trial->id});
      actions.push_back({.trial = trial->id, .what = Action::Do::pause, .reason = "waits at the cut"});
    }
  }

  void on_end(const TrialRecord& trial, std::span<const TrialRecord>, std::vector<Action>&) override {
    on_the_way_.erase(trial.id);
    std::erase_if(waiting_, [&](const RungEntry& entry) { return entry.second == trial.id; });
    if (chosen_.erase(trial.id) > 0 && trial.state == TrialState::completed) ++finished_;
  }

  // The others wait until the chosen ones have ended: one of them goes on in the place of one that fails.
  void on_idle(std::int64_t free_slots, bool exhausted, std::span<const TrialRecord>,
               std::vector<Action>& actions) override {
    if (!exhausted || !on_the_way_.empty()) return;
    for (; free_slots > 0 && !waiting_.empty() && missing() > 0; --free_slots) {
      const TrialId best = waiting_.front().second;
      waiting_.erase(waiting_.begin());
      chosen_.insert(best);
      actions.push_back({.trial = best, .what = Action::Do::resume, .reason = "best at the cut"});
    }
    if (finished_ < options_.keep) return;
    const std::string reason = "cut at " + std::to_string(options_.rungs.front()) + ": not among the best " +
                               std::to_string(options_.keep) + " of " + std::to_string(started_);
    for (const RungEntry& entry : waiting_)
      actions.push_back({.trial = entry.second, .what = Action::Do::stop, .reason = reason});
    waiting_.clear();
  }

  bool wants_more() const override { return !options_.trials || started_ < *options_.trials; }

  std::optional<std::int64_t> next_milestone(TrialId trial, std::int64_t step) const override {
    return on_the_way_.contains(trial) ? next_rung(options_.rungs, step) : std::nullopt;
  }
  Looks looks() const override { return {.rungs = options_.rungs}; }
  bool acts_at_milestones_only() const override { return true; }

  nlohmann::json save() const override {
    return {{"on_the_way", ids_of(on_the_way_)},
            {"waiting", rung_to_json(waiting_)},
            {"chosen", ids_of(chosen_)},
            {"finished", finished_}};
  }

  void load(const nlohmann::json& state, std::span<const TrialRecord> trials) override {
    Cut loaded(options_);
    loaded.started_ = std::ssize(trials);
    for (const auto& id : state.at("on_the_way")) loaded.on_the_way_.insert(trial_from(id, trials));
    loaded.waiting_ = rung_from_json(state.at("waiting"), trials);
    for (const auto& id : state.at("chosen")) loaded.chosen_.insert(trial_from(id, trials));
    loaded.finished_ = count_from(state.at("finished"));
    if (options_.rungs.empty() && !loaded.waiting_.empty()) throw bad_input("", "trials wait where there is no cut");
    *this = std::move(loaded);
  }

 private:
  static nlohmann::json ids_of(const std::set<TrialId>& trials) {
    auto ids = nlohmann::json::array();
    for (const TrialId trial : trials) ids.push_back(trial.value);
    return ids;
  }
  std::int64_t missing() const { return options_.keep - finished_ - std::ssize(chosen_); }

  CutOptions options_;
  std::int64_t started_ = 0, finished_ = 0;  // finished: of the chosen, who came to the end
  std::set<TrialId> on_the_way_;             // to the cut
  RungEntries waiting_;                      // at the cut, best first
  std::set<TrialId> chosen_;                 // on their way to the end
};

std::unique_ptr<Scheduler> make_cut(const OptionReader& reader, const SchedulerRequest& request) {
  const TunerOptions& tuner = request.tuner;
  CutOptions options{.keep = reader.whole("keep"), .max_steps = tuner.max_steps};
  const std::int64_t cut = cut_step(reader.number("share"), tuner.max_steps, tuner.first_look);
  if (cut < tuner.max_steps) {
    options.rungs = {cut};
    if (tuner.budget_steps) options.trials = cut_trials(*tuner.budget_steps, cut, tuner.max_steps, options.keep);
  }
  return std::make_unique<Cut>(std::move(options));
}

}  // namespace

std::int64_t cut_step(double share, std::int64_t max_steps, std::int64_t first_look) {
  const auto part = static_cast<std::int64_t>(std::ceil(share * static_cast<double>(max_steps) - 1e-9));
  return std::max({std::int64_t{1}, part, first_look});
}

std::int64_t cut_trials(std::int64_t budget, std::int64_t cut, std::int64_t max_steps, std::int64_t keep) {
  return std::max<std::int64_t>(1, (budget - std::min(keep, budget / max_steps) * (max_steps - cut)) / cut);
}

SchedulerKind cut_kind() {
  return {.name = "cut",
          .what = "every trial to a fixed share of the steps, where it waits; the best goes on alone",
          .options = {number_option("share", "of the steps of a trial, after which it waits", 0.2, 0.001, 1),
                      whole_option("keep", "so many go on to the end", 1, 1)},
          .make = make_cut,
          .one_cohort = true,
          .one_process = true};
}

}  // namespace finetune
