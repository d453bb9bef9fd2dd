// A study that other processes work on too (peers.h): their trials stand among its own, and are never stepped here.
#include <algorithm>
#include <chrono>
#include <utility>

#include "core/error.h"
#include "engine/schedule.h"
#include "engine/study.h"

namespace finetune {

// News that come again find what they said before.
void Study::learn(const std::vector<PeerTrial>& news, std::vector<Action>& actions) {
  for (const PeerTrial& one : news) {
    if (one.id.value == std::ssize(state_.trials)) {
      Trial trial;
      trial.id = one.id;
      trial.params = trial.first = trial.origin = one.params;
      trial.elsewhere = true;
      state_.trials.push_back(std::move(trial));
      tuner_.follow(one.id, one.params);
    }
    Trial& trial = state_.trial(one.id);
    if (!trial.elsewhere) continue;  // it has been taken up meanwhile
    if (trial.state == TrialState::running) trial.state = one.state;
    tuner_.follow(one.id, one.values, one.state, actions);
  }
}

void Study::learn_from_peers() {
  std::vector<Action> actions;
  learn(options_.peers->news(), actions);
  if (state_.search_ended || actions.empty()) return;
  collect_all();
  apply(actions);
}

// Numbers are given out where nobody else can take them; where that did not come through, the tuner has not been asked.
std::vector<NewTrial> Study::ask(std::int64_t room, std::vector<Action>& actions) {
  std::vector<NewTrial> asked;
  if (tuner_.exhausted()) {
    tuner_.ask(room, actions);  // paused ones may go on
    return asked;
  }
  const nlohmann::json before = tuner_.save();
  const std::size_t trials = state_.trials.size();
  bool again = false;
  options_.peers->start_trials([&](const std::vector<PeerTrial>& news) {
    if (std::exchange(again, true)) {
      tuner_.load(before);
      state_.trials.resize(trials);
      actions.clear();
    }
    learn(news, actions);
    asked = tuner_.ask(room, actions);
    return asked;
  });
  return asked;
}

void Study::take_up_from_peers() {
  if (!tuner_.ended_by().empty()) return;
  for (Trial& taken : options_.peers->take_up(free_slots())) {
    Trial& trial = state_.trial(taken.id);
    trial = std::move(taken);
    trial.elsewhere = false;
    trial.awaits_answer = false;
    trial.submitted = trial.step;
    tuner_.set_elsewhere(trial.id, false);
    trial.lane = lane_for_new();
    try {
      trial.config = options_.configure(trial.params);
      if (trial.image)
        lanes_.at(trial.lane).restore(trial.id, trial.config, *trial.image);
      else
        lanes_.at(trial.lane).admit(trial.id, trial.config);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::bad_input) throw;
      for (auto* observer : observers_) observer->on_take_up(trial);
      end(trial, TrialState::failed, error.what());
      std::vector<Action> actions;
      tuner_.tell(trial.id, TrialState::failed, std::nullopt, actions);
      apply(actions);
      continue;
    }
    trial.image.reset();
    trial.resident = true;
    for (auto* observer : observers_) observer->on_take_up(trial);
  }
}

// Nothing runs here; trials of others may yet have to be taken up, or make room for new ones.
bool Study::wait_for_peers() {
  if (!options_.peers || ended_ || !tuner_.ended_by().empty()) return false;
  if (!options_.peers->wait([this] { return options_.stop && options_.stop().has_value(); })) return false;
  learn_from_peers();
  ended_ = why_over();
  if (ended_) save_where_wanted(false);
  return true;
}

}  // namespace finetune
