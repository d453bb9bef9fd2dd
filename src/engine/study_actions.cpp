#include <algorithm>
#include <utility>

#include "engine/schedule.h"
#include "engine/study.h"

namespace finetune {

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
    Lane& lane = *lanes_[to.lane];
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
  Lane& lane = *lanes_[trial.lane];
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
      lane.release(trial.id);
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
      lanes_[trial.lane]->restore(trial.id, trial.config, *trial.image);
      trial.image.reset();
      trial.resident = true;
      trial.state = TrialState::running;
      break;
    case Action::Do::change:
      if (trial.state != TrialState::running) return;
      for (const auto& [name, value] : action.params) set_param(trial.params, name, value);
      trial.config = options_.configure(trial.params);
      lane.change(trial.id, trial.config);
      trial.schedule.push_back({trial.step, action.params});
      trial.lineage.push_back({trial.step, Action::Do::change, {}, action.params});
      break;
    case Action::Do::copy:
      return;  // apply_copies
  }
  for (auto* observer : observers_) observer->on_action(trial, action);
}

}  // namespace finetune
