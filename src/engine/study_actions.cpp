// What the tuner is told of a round, what it answers, and how that is done.
#include <algorithm>
#include <utility>

#include "core/error.h"
#include "engine/actions.h"
#include "engine/schedule.h"
#include "engine/study.h"

namespace finetune {

void Study::ask_tuner(const StudyRound& round) {
  if (options_.peers && std::ranges::any_of(round.metrics, [](const auto& metric) { return metric.has_value(); }))
    learn_from_peers();
  if (!state_.search_ended) return carry_out(round, decide(reports_of(round)));
  change_extras();
  carry_out(round, {});
}

// Of those that still run, sorted by id; the default configuration is not the tuner's.
std::vector<Report> Study::reports_of(const StudyRound& round) const {
  std::vector<Report> reports;
  for (std::size_t i = 0; i < round.trials.size(); ++i) {
    const Trial& trial = state_.trial(round.trials[i]);
    const StepResult& step = round.steps[i];
    if (!is_listed(trial.id) || trial.state != TrialState::running) continue;  // ended or paused meanwhile
    reports.push_back({.trial = trial.id,
                       .step = step.step,
                       .tokens = round.tokens[i],
                       .train_loss = step.train_loss,
                       .metric = round.metrics[i],
                       .gradient_norm = step.gradient_norm});
    if (!options_.has_validation && step.step == last_step(trial.config)) reports.back().metric = step.train_loss;
  }
  return reports;
}

std::vector<Action> Study::decide(const std::vector<Report>& reports) {
  std::vector<Action> actions;
  for (auto* observer : observers_) observer->before_decision();
  tuner_.report(reports, actions);
  for (auto* observer : observers_) observer->after_decision();
  if (options_.on_step) merge_callback(options_.on_step, reports, tuner_, actions);
  return actions;
}

// What broke fails, then come the actions, then what has done all its steps is complete; resumes are last, into the
// slots that the others left. Steps under way are waited for where anything changes.
void Study::carry_out(const StudyRound& round, std::vector<Action> actions) {
  std::vector<std::size_t> broken;
  for (std::size_t i = 0; i < round.trials.size(); ++i) {
    if (round.is_broken(i)) broken.push_back(i);
  }
  if (!actions.empty() || !broken.empty()) collect_all();
  for (const std::size_t i : broken) {
    Trial& trial = state_.trial(round.trials[i]);
    if (trial.state == TrialState::running) end(trial, TrialState::failed, failure_reason(round.steps[i]));
  }
  if (!state_.search_ended && !tuner_.ended_by().empty()) measure_unmeasured();  // before they are stopped
  const auto resumes = std::stable_partition(actions.begin(), actions.end(),
                                             [](const Action& action) { return action.what != Action::Do::resume; });
  std::vector<Action> later(resumes, actions.end());
  actions.erase(resumes, actions.end());
  apply(actions);
  for (std::size_t i = 0; i < round.trials.size(); ++i) {
    Trial& trial = state_.trial(round.trials[i]);
    if (trial.state == TrialState::running && trial.resident && round.steps[i].step >= last_step(trial.config))
      end(trial, TrialState::completed, "");
  }
  apply(later);
}

void Study::apply(const std::vector<Action>& actions) {
  std::vector<Action> copies;
  for (const auto& action : actions) {
    if (action.what == Action::Do::copy) copies.push_back(action);
  }
  apply_copies(copies);  // first: a donor may be stopped by the same answer
  for (const auto& action : actions) {
    if (action.what == Action::Do::stop || action.what == Action::Do::pause) apply_one(action);
  }
  for (const auto& action : actions) {
    if (action.what == Action::Do::change || action.what == Action::Do::resume) apply_one(action);
  }
}

// All copies of one answer are made at once, from the states before any of them.
void Study::apply_copies(std::span<const Action> copies) {
  struct Donor {
    Params origin;
    std::vector<HyperparameterChange> schedule;
    std::shared_ptr<const TrialImage> image;  // where a plain slot copy will not do
  };
  std::vector<Donor> donors;
  for (const auto& copy : copies) {
    const Trial& from = state_.trial(copy.from);
    const Trial& to = state_.trial(copy.trial);
    const bool overwritten =
        std::any_of(copies.begin(), copies.end(), [&](const Action& c) { return c.trial == copy.from; });
    Donor donor{from.origin, from.schedule, nullptr};
    if (!from.resident)
      donor.image = from.image;
    else if (overwritten || from.lane != to.lane)
      donor.image = capture(from);
    donors.push_back(std::move(donor));
  }
  for (std::size_t i = 0; i < copies.size(); ++i) {
    Trial& to = state_.trial(copies[i].trial);
    if (to.state != TrialState::running) continue;
    if (!copies[i].params.empty()) to.params = copies[i].params;
    to.config = options_.configure(to.params);
    to.origin = donors[i].origin;
    to.schedule = std::move(donors[i].schedule);
    to.schedule.push_back({to.step, to.params});
    Lane& lane = lanes_.at(to.lane);
    if (donors[i].image)
      lane.copy_from_image(*donors[i].image, to.id, to.config);
    else
      lane.copy(copies[i].from, to.id, to.config);
    to.lineage.push_back({to.step, Action::Do::copy, copies[i].from, to.params});
    for (auto* observer : observers_) observer->on_action(to, copies[i]);
  }
}

// Who is stopped because the study ends was not judged.
void Study::keep_for_audit(Trial& trial) {
  if (!tuner_.ended_by().empty() || !is_audited(trial.id, options_.after.audit)) return;
  trial.audit_image = trial.resident ? capture(trial) : trial.image;
}

void Study::apply_one(const Action& action) {
  Trial& trial = state_.trial(action.trial);
  switch (action.what) {
    case Action::Do::stop:
      if (trial.state != TrialState::running && trial.state != TrialState::paused) return;
      if (trial.step >= last_step(trial.config))
        return end(trial, TrialState::completed, "");  // it has done everything
      for (auto* observer : observers_) observer->on_action(trial, action);
      keep_for_audit(trial);
      return end(trial, TrialState::stopped, action.reason);
    case Action::Do::pause:
      if (trial.state != TrialState::running) return;
      trial.image = capture(trial);
      lanes_.at(trial.lane).release(trial.id);
      trial.resident = false;
      trial.state = TrialState::paused;
      break;
    case Action::Do::resume:
      if (trial.state != TrialState::paused) return;
      if (free_slots() <= 0) {
        state_.waiting.push_back(action);
        return;
      }
      trial.lane = lane_for_new();
      lanes_.at(trial.lane).restore(trial.id, trial.config, *trial.image);
      trial.image.reset();
      trial.resident = true;
      trial.state = TrialState::running;
      break;
    case Action::Do::change:
      if (trial.state != TrialState::running) return;
      for (const auto& [name, value] : action.params) set_param(trial.params, name, value);
      trial.config = options_.configure(trial.params);
      lanes_.at(trial.lane).change(trial.id, trial.config);
      trial.schedule.push_back({trial.step, action.params});
      trial.lineage.push_back({trial.step, Action::Do::change, {}, action.params});
      break;
    case Action::Do::copy:
      return;  // apply_copies
  }
  for (auto* observer : observers_) observer->on_action(trial, action);
}

}  // namespace finetune
