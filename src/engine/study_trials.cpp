// Trials come, find a lane, move to another, and end.
#include <algorithm>
#include <utility>

#include "core/error.h"
#include "engine/schedule.h"
#include "engine/study.h"

namespace finetune {

void Study::start_default() {
  Trial trial;
  trial.id = kDefaultRun;
  state_.default_run = std::move(trial);
  if (!start(*state_.default_run).empty()) return;
  if (options_.has_validation) measure_base();
}

std::string Study::start(Trial& trial) {
  trial.origin = trial.first = trial.params;
  return place(trial, [&] { return options_.configure(trial.params); });
}

// Where it was, if it has an image, else anew. A configuration that cannot be had is its trial's failure: the reason is
// returned.
std::string Study::place(Trial& trial, const std::function<TrainConfig()>& configure) {
  trial.lane = lane_for_new();
  std::string problem;
  try {
    trial.config = configure();
    if (trial.image)
      lanes_.at(trial.lane).restore(trial.id, trial.config, *trial.image);
    else
      lanes_.at(trial.lane).admit(trial.id, trial.config);
    trial.image.reset();
    trial.resident = true;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::bad_input) throw;
    problem = error.what();
  }
  for (auto* observer : observers_) observer->on_start(trial);
  if (!problem.empty()) end(trial, TrialState::failed, problem);
  return problem;
}

void Study::admit_new() {
  if (!state_.waiting.empty()) {
    collect_all();
    apply(std::exchange(state_.waiting, {}));
  }
  if (options_.peers) take_up_from_peers();
  while (ask_for_trials()) {
  }
}

// True where a trial failed at once, so that there is room for another.
bool Study::ask_for_trials() {
  std::vector<Action> actions;
  std::int64_t room = free_slots();
  const auto is_running = [](const Trial& trial) { return trial.state == TrialState::running && !trial.elsewhere; };
  const auto now = std::count_if(state_.trials.begin(), state_.trials.end(), is_running);
  if (options_.concurrent) room = std::min(room, *options_.concurrent - now);
  if (room <= 0) return false;
  for (auto* observer : observers_) observer->before_decision();
  std::vector<NewTrial> asked = options_.peers ? ask(room, actions) : tuner_.ask(room, actions);
  for (auto* observer : observers_) observer->after_decision();
  bool failed = false;
  for (auto& proposed : asked) {
    Trial trial;
    trial.id = proposed.id;
    trial.params = std::move(proposed.params);
    state_.trials.push_back(std::move(trial));
    if (start(state_.trials.back()).empty()) continue;
    tuner_.tell(proposed.id, TrialState::failed, std::nullopt, actions);
    failed = true;
  }
  if (!actions.empty()) collect_all();
  apply(actions);
  return failed;
}

std::vector<PlacedTrial> Study::placed(const std::vector<Trial*>& trials) const {
  std::vector<PlacedTrial> placed;
  for (const Trial* trial : trials) placed.push_back({trial->lane, trial->resident ? step_cost(trial->config) : 0});
  return placed;
}

// From the books: a lane that works is not asked.
std::vector<LaneRoom> Study::room_of_lanes() {
  std::vector<LaneRoom> room;
  for (std::size_t lane = 0; lane < slots_.size(); ++lane) room.push_back({slots_[lane], speeds_[lane]});
  for (const Trial* trial : running()) room[trial->lane].free_slots -= trial->resident ? 1 : 0;
  return room;
}

std::size_t Study::lane_for_new() {
  return emptiest_lane(placed(running()), room_of_lanes()).value_or(lanes_.size());
}

// Lanes that trials have left get others of the fuller ones, so that no processor idles while another has a queue.
void Study::even_out() {
  for (;;) {
    std::vector<Trial*> trials = running();
    std::erase_if(trials, [](const Trial* trial) { return !trial->resident; });
    const auto move = next_move(placed(trials), room_of_lanes());
    if (!move) return;
    collect_all();
    Trial& trial = *trials[move->trial];
    const auto image = try_capture(trial);
    if (!image) return;  // nobody has to move
    lanes_.at(trial.lane).release(trial.id);
    lanes_.at(move->to).restore(trial.id, trial.config, *image);
    trial.lane = move->to;
  }
}

void Study::end(Trial& trial, TrialState state, const std::string& reason) {
  if (trial.resident) {
    if (options_.keep_last) trial.last_image = capture(trial);
    lanes_.at(trial.lane).release(trial.id);
  }
  trial.resident = false;
  trial.submitted = trial.step;  // what its lane has done beyond is forgotten
  trial.image.reset();
  trial.state = state;
  trial.reason = reason;
  for (auto* observer : observers_) observer->on_end(trial);
}

std::vector<Trial*> Study::running() {
  std::vector<Trial*> trials;
  for (ExtraRun& run : state_.extras) {
    if (run.started && run.trial.state == TrialState::running) trials.push_back(&run.trial);
  }
  if (state_.default_run && state_.default_run->state == TrialState::running) trials.push_back(&*state_.default_run);
  for (Trial& trial : state_.trials) {
    if (trial.state == TrialState::running && !trial.elsewhere) trials.push_back(&trial);
  }
  return trials;
}

// Those that step in the next round.
std::vector<Trial*> Study::ready() {
  std::vector<Trial*> trials = running();
  std::erase_if(
      trials, [](const Trial* trial) { return trial->awaits_answer || trial->submitted >= last_step(trial->config); });
  return trials;
}

std::int64_t Study::free_slots() {
  std::int64_t held = 0, free = 0;
  for (const std::int64_t slots : slots_) held += slots;
  for (const LaneRoom& lane : room_of_lanes()) free += lane.free_slots;
  return free - (held - options_.slots.value_or(held));
}

}  // namespace finetune
