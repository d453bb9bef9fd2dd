// Steps on all lanes: given to them, and their results taken and booked.
#include <algorithm>
#include <list>
#include <map>
#include <string>
#include <utility>

#include "engine/schedule.h"
#include "engine/study.h"

namespace finetune {
namespace {

constexpr std::int64_t kRoundsTimed = 16;  // speeds are those of so many rounds

void note_round(std::vector<RoundSpan>& spans, std::int64_t round) {
  if (spans.empty() || spans.back().last + 1 != round) spans.push_back({round, round});
  spans.back().last = round;
}

bool is_ahead(const Trial* trial) {
  return trial->submitted > trial->step;
}

// After its last submitted step nothing can be done before that is judged.
bool waits(const Trial& trial) {
  return trial.awaits_answer || trial.submitted >= last_step(trial.config);
}

std::map<std::size_t, std::vector<Trial*>> by_lane(const std::vector<Trial*>& trials) {
  std::map<std::size_t, std::vector<Trial*>> lanes;
  for (Trial* trial : trials) lanes[trial->lane].push_back(trial);
  return lanes;
}

// A lane's results into their round: to their places where that is under way on all lanes, else they are early.
void put(LaneSteps part, std::size_t lane, std::list<StudyRound>& rounds) {
  auto round = std::ranges::find_if(rounds, [&](const StudyRound& one) { return one.number >= part.round; });
  if (round == rounds.end() || round->number != part.round)
    round = rounds.insert(round, {.number = part.round, .early = true});
  std::size_t place = 0;
  for (StepResult& result : part.results) {
    if (round->early) {
      round->trials.push_back(result.trial);
      round->steps.push_back(std::move(result));
      continue;
    }
    while (round->lanes[place] != lane) ++place;
    round->steps[place++] = std::move(result);
  }
}

}  // namespace

// What acts on others than those at a milestone, or wants the states of others, needs them to be where the round is.
std::int64_t Study::rounds_ahead() const {
  const bool one_metric = std::string(options_.metric.name) == options_.rung_metric.name;  // see measure_unmeasured
  if (!tuner_.acts_at_milestones_only() || options_.on_step || options_.peers || options_.keep_last || !one_metric)
    return 0;
  return lanes_.size() > 1 ? options_.ahead : std::min(options_.ahead, static_cast<std::int64_t>(options_.lag));
}

// A save may be of a study that went on in the other way: what was under way then comes first.
bool Study::step_round() {
  if (state_.in_flight.empty()) return lag_ > 0 ? step_with_lag() : step_in_turn();
  return state_.in_flight.front().early ? step_in_turn() : step_with_lag();
}

bool Study::step_in_turn() {
  const std::vector<Trial*> trials = running();
  submit_ahead(trials);
  if (std::ranges::none_of(trials, is_ahead)) return false;
  StudyRound round = take_round(trials);
  note_steps(round);
  take_evaluations(round);
  judge(std::move(round));
  return true;
}

bool Study::step_with_lag() {
  StudyRound round;
  round.number = state_.rounds + std::ssize(state_.in_flight) + 1;
  const std::vector<Trial*> trials = lag_ > 0 ? ready() : std::vector<Trial*>{};
  for (const Trial* trial : trials) {
    round.trials.push_back(trial->id);
    round.lanes.push_back(trial->lane);
  }
  if (!trials.empty()) {
    const auto lanes = by_lane(trials);
    for (const auto& [lane, here] : lanes) submit_step(lane, round.number, here, lanes.size());
    round.steps.resize(trials.size());
    state_.in_flight.push_back(std::move(round));
    if (std::ranges::any_of(trials, [](const Trial* trial) { return trial->awaits_answer; })) {
      collect_all();
      take_evaluations(state_.in_flight.back());
    }
  }
  if (state_.in_flight.empty()) return false;
  if (!trials.empty() && state_.in_flight.size() <= lag_) return true;
  collect(state_.in_flight.front());
  StudyRound oldest = std::move(state_.in_flight.front());
  state_.in_flight.pop_front();
  judge(std::move(oldest));
  return true;
}

void Study::submit_step(std::size_t lane, std::int64_t round, const std::vector<Trial*>& trials, std::size_t beside) {
  std::vector<TrialId> ids;
  double cost = 0;
  for (Trial* trial : trials) {
    ids.push_back(trial->id);
    ++trial->submitted;
    trial->awaits_answer = wants_evaluation(*trial, trial->submitted) || changes_after(trial->id, trial->submitted);
    cost += step_cost(trial->config);
  }
  lanes_.submit(lane, std::move(ids), {.round = round, .cost = cost}, beside);
}

void Study::submit_ahead(const std::vector<Trial*>& trials) {
  const auto lanes = by_lane(trials);
  for (const auto& [lane, here] : lanes) {
    while (submit_next(lane, here, lanes.size())) {
    }
    if (std::ranges::any_of(here, [](const Trial* trial) { return waits(*trial); })) lanes_.let_end(lane);
  }
}

// One step of those that are least ahead. Not beyond the limit, nor beyond a round in which one of them waits: they
// step in one pack or not at all.
bool Study::submit_next(std::size_t lane, const std::vector<Trial*>& trials, std::size_t beside) {
  std::vector<Trial*> next;
  for (Trial* trial : trials) {
    const std::int64_t here = trial->submitted - trial->step;
    const std::int64_t least = next.empty() ? here : next.front()->submitted - next.front()->step;
    if (here < least) next.clear();
    if (here <= least) next.push_back(trial);
  }
  if (next.empty() || std::ranges::any_of(next, [](const Trial* trial) { return waits(*trial); })) return false;
  const std::int64_t ahead = next.front()->submitted - next.front()->step;
  if (ahead > ahead_) return false;
  submit_step(lane, state_.rounds + ahead + 1, next, beside);
  return true;
}

// The results of all steps up to that round, into the rounds under way.
void Study::receive(std::int64_t round) {
  for (std::size_t lane = 0; lane < lanes_.size(); ++lane) {
    while (lanes_.has(lane, round)) {
      LaneSteps part = lanes_.take(lane);
      timed_[lane].cost += part.cost;
      timed_[lane].seconds += part.seconds;
      put(std::move(part), lane, state_.in_flight);
    }
  }
}

// The next round, of those that still run; the others were ended by an earlier one.
StudyRound Study::take_round(const std::vector<Trial*>& trials) {
  StudyRound round{.number = state_.rounds + 1};
  receive(round.number);
  std::map<TrialId, StepResult*> results;
  StudyRound& early = state_.in_flight.front();
  for (StepResult& result : early.steps) results[result.trial] = &result;
  for (const Trial* trial : trials) {
    if (!is_ahead(trial)) continue;
    round.trials.push_back(trial->id);
    round.lanes.push_back(trial->lane);
    round.steps.push_back(std::move(*results.at(trial->id)));
  }
  state_.in_flight.pop_front();
  return round;
}

void Study::collect(StudyRound& round) {
  if (round.collected) return;
  receive(round.number);
  note_steps(round);
}

void Study::note_steps(StudyRound& round) {
  round.collected = true;
  for (std::size_t i = 0; i < round.trials.size(); ++i) {
    Trial& trial = state_.trial(round.trials[i]);
    trial.step = round.steps[i].step;
    trial.tokens += round.steps[i].tokens;
    round.tokens.push_back(trial.tokens);
    note_round(trial.rounds, round.number);
    if (round.steps[i].finite) trial.train_loss = round.steps[i].train_loss;
    if (!is_listed(trial.id)) continue;
    ++state_.steps;
    state_.tokens += round.steps[i].tokens;
  }
  std::vector<const Trial*> trials;
  for (const TrialId id : round.trials) trials.push_back(&state_.trial(id));
  for (auto* observer : observers_) observer->on_steps(round.steps, trials);
}

// Waits for every step under way. They have to be logged before a trial ends, and their results come in order. Steps of
// lanes that are ahead are none of these: they count when it is their turn.
void Study::collect_all() {
  for (StudyRound& round : state_.in_flight) {
    if (!round.early) collect(round);
  }
}

// What the user interrupted counts for nothing.
void Study::forget_under_way() {
  lanes_.abandon();
  state_.in_flight.remove_if([](const StudyRound& round) { return !round.collected; });
}

void Study::measure_speeds() {
  if (state_.rounds % kRoundsTimed != 0) return;
  speeds_ = measured_speeds(speeds_, timed_);
  timed_.assign(timed_.size(), {});
}

}  // namespace finetune
