#include "engine/study.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/error.h"
#include "engine/actions.h"
#include "engine/schedule.h"

namespace finetune {
namespace {

std::vector<std::size_t> distinct(std::vector<std::size_t> numbers) {
  std::sort(numbers.begin(), numbers.end());
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
  return numbers;
}

void note_round(std::vector<RoundSpan>& spans, std::int64_t round) {
  if (spans.empty() || spans.back().last + 1 != round) spans.push_back({round, round});
  spans.back().last = round;
}

}  // namespace

Study::Study(StudyOptions options, Tuner& tuner, std::vector<Lane*> lanes, std::vector<StudyObserver*> observers)
    : options_(std::move(options)),
      tuner_(tuner),
      lanes_(std::move(lanes)),
      observers_(std::move(observers)),
      threads_(lanes_.size()) {}

StudyResult Study::run() {
  try {
    if (options_.with_default) start_default();
  } catch (const Interrupted&) {
    ended_ = EndReason::interrupted;
  }
  return play();
}

// The round under way counts for nothing where the user wants the end at once.
StudyResult Study::play() {
  AfterResult after;
  try {
    if (!state_.search_ended) search();
    if (state_.search_ended) run_extras();
    if (!ended_) after = after_result();
  } catch (const Interrupted&) {
    ended_ = EndReason::interrupted;
  }
  return finish(std::move(after));
}

void Study::search() {
  while (!ended_) {
    admit_new();
    even_out();
    if (!step_round()) break;
  }
  if (ended_ != EndReason::interrupted) end_search();
}

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
      lanes_[trial.lane]->restore(trial.id, trial.config, *trial.image);
    else
      lanes_[trial.lane]->admit(trial.id, trial.config);
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
  while (ask_for_trials()) {
  }
}

// True where a trial failed at once, so that there is room for another.
bool Study::ask_for_trials() {
  std::vector<Action> actions;
  std::int64_t room = free_slots();
  const auto is_running = [](const Trial& trial) { return trial.state == TrialState::running; };
  const auto now = std::count_if(state_.trials.begin(), state_.trials.end(), is_running);
  if (options_.concurrent) room = std::min(room, *options_.concurrent - now);
  if (room <= 0) return false;
  for (auto* observer : observers_) observer->before_decision();
  std::vector<NewTrial> asked = tuner_.ask(room, actions);
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

std::vector<std::int64_t> Study::free_slots_of_lanes() const {
  std::vector<std::int64_t> free;
  for (const Lane* lane : lanes_) free.push_back(lane->free_slots());
  return free;
}

std::size_t Study::lane_for_new() {
  return emptiest_lane(placed(running()), free_slots_of_lanes()).value_or(lanes_.size());
}

// Lanes that trials have left get others of the fuller ones, so that no processor idles while another has a queue.
void Study::even_out() {
  for (;;) {
    std::vector<Trial*> trials = running();
    std::erase_if(trials, [](const Trial* trial) { return !trial->resident; });
    const auto move = next_move(placed(trials), free_slots_of_lanes());
    if (!move) return;
    collect_all();
    Trial& trial = *trials[move->trial];
    const auto image = try_capture(trial);
    if (!image) return;  // nobody has to move
    lanes_[trial.lane]->release(trial.id);
    lanes_[move->to]->restore(trial.id, trial.config, *image);
    trial.lane = move->to;
  }
}

// Runs job(lane) on those lanes, side by side. The machine's processors are divided among them.
void Study::on_lanes(const std::vector<std::size_t>& lanes, const std::function<void(std::size_t)>& job) {
  threads_.run(lanes, [&](std::size_t lane) {
    lanes_[lane]->share(lanes.size());
    job(lane);
  });
}

bool Study::step_round() {
  StudyRound round;
  for (const Trial* trial : ready()) round.trials.push_back(trial->id);
  const bool goes_on = !round.trials.empty();
  if (goes_on) {
    round.number = state_.rounds + std::ssize(state_.in_flight) + 1;
    submit_steps(round);
    const bool evaluates =
        std::ranges::any_of(round.trials, [this](TrialId id) { return state_.trial(id).awaits_answer; });
    state_.in_flight.push_back(std::move(round));
    if (evaluates) {
      collect_all();
      take_evaluations(state_.in_flight.back());
    }
  }
  if (state_.in_flight.empty()) return false;
  if (goes_on && state_.in_flight.size() <= options_.lag) return true;
  StudyRound oldest = std::move(state_.in_flight.front());
  state_.in_flight.pop_front();
  judge(std::move(oldest));
  return true;
}

void Study::judge(StudyRound round) {
  if (!round.collected) collect_steps(round);
  round.metrics.resize(round.trials.size());
  for (std::size_t i = 0; i < round.trials.size(); ++i) {
    Trial& trial = state_.trial(round.trials[i]);
    if (trial.submitted == round.steps[i].step) trial.awaits_answer = false;  // not if it waits for a later round's
    if (is_listed(trial.id)) state_.judged_tokens += round.steps[i].tokens;
  }
  ask_tuner(round);
  drop_images_that_lost();  // once a round: a rung may end thousands of trials
  for (auto* observer : observers_) observer->on_round(state_.rounds);
  ++state_.rounds;
  ended_ = why_over();
  save_where_wanted(std::ranges::any_of(round.metrics, [](const auto& metric) { return metric.has_value(); }));
}

// A target or patience leaves the default configuration to run to its end: it is what the winner is compared with.
std::optional<EndReason> Study::why_over() const {
  const auto told = options_.stop ? options_.stop() : std::nullopt;
  if (state_.search_ended) return told == EndReason::interrupted ? told : std::nullopt;
  if (told) return told;
  if (tuner_.ended_by() == to_text(EndReason::steps)) return EndReason::steps;
  if (options_.budget_tokens && state_.judged_tokens >= *options_.budget_tokens) return EndReason::tokens;
  return std::nullopt;
}

void Study::submit_steps(StudyRound& round) {
  for (const TrialId id : round.trials) {
    Trial& trial = state_.trial(id);
    ++trial.submitted;
    round.lanes.push_back(trial.lane);
    trial.awaits_answer = wants_evaluation(trial, trial.submitted) || changes_after(id, trial.submitted);
  }
  on_lanes(distinct(round.lanes), [&](std::size_t lane) {
    std::vector<TrialId> ids;
    for (std::size_t i = 0; i < round.trials.size(); ++i) {
      if (round.lanes[i] == lane) ids.push_back(round.trials[i]);
    }
    lanes_[lane]->submit(ids);
  });
}

void Study::collect_steps(StudyRound& round) {
  round.collected = true;
  round.steps.resize(round.trials.size());
  on_lanes(distinct(round.lanes), [&](std::size_t lane) {
    std::vector<std::size_t> where;
    for (std::size_t i = 0; i < round.trials.size(); ++i) {
      if (round.lanes[i] == lane) where.push_back(i);
    }
    const auto results = lanes_[lane]->collect();
    for (std::size_t k = 0; k < where.size(); ++k) round.steps[where[k]] = results[k];
  });
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

// Waits for every step under way. They have to be logged before a trial ends, and their results come in order.
void Study::collect_all() {
  for (StudyRound& round : state_.in_flight) {
    if (!round.collected) collect_steps(round);
  }
}

void Study::ask_tuner(const StudyRound& round) {
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

void Study::end(Trial& trial, TrialState state, const std::string& reason) {
  if (trial.resident) {
    if (options_.keep_last) trial.last_image = capture(trial);
    lanes_[trial.lane]->release(trial.id);
  }
  trial.resident = false;
  trial.image.reset();
  trial.state = state;
  trial.reason = reason;
  for (auto* observer : observers_) observer->on_end(trial);
}

// Where the search has not ended by itself, the user ended it.
StudyResult Study::finish(AfterResult after) {
  collect_all();
  const EndReason reason = ended_ ? *ended_ : *state_.search_ended;
  end_all(to_text(reason));
  const bool all_failed = std::all_of(state_.trials.begin(), state_.trials.end(),
                                      [](const Trial& trial) { return trial.state == TrialState::failed; });
  const auto best = all_failed ? std::nullopt : winner(after.confirmed);
  return {.trials = std::move(state_.trials),
          .default_run = std::move(state_.default_run),
          .base_metric = state_.base_metric,
          .best = best,
          .steps = state_.steps,
          .tokens = state_.tokens,
          .rounds = state_.search_ended ? state_.search_rounds : state_.rounds,
          .ended = reason,
          .after = std::move(after)};
}

// Only a trial that may still win, or that the winner will be held against, needs its best weights.
void Study::drop_images_that_lost() {
  const std::vector<std::size_t> order = ranking(state_.trials, options_.metric.direction);
  if (order.empty() || state_.trials[order.front()].state != TrialState::completed) return;
  const std::size_t kept = std::max<std::size_t>(1, options_.after.kept_images());
  for (std::size_t k = kept; k < order.size(); ++k) {
    Trial& trial = state_.trials[order[k]];
    if (trial.state != TrialState::running && trial.state != TrialState::paused) trial.best_image.reset();
  }
}

std::optional<std::size_t> Study::best_trial() const {
  const std::vector<std::size_t> order = ranking(state_.trials, options_.metric.direction);
  return order.empty() ? std::nullopt : std::optional(order.front());
}

std::vector<Trial*> Study::running() {
  std::vector<Trial*> trials;
  for (ExtraRun& run : state_.extras) {
    if (run.started && run.trial.state == TrialState::running) trials.push_back(&run.trial);
  }
  if (state_.default_run && state_.default_run->state == TrialState::running) trials.push_back(&*state_.default_run);
  for (Trial& trial : state_.trials) {
    if (trial.state == TrialState::running) trials.push_back(&trial);
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

std::int64_t Study::free_slots() const {
  std::int64_t free = 0;
  for (const Lane* lane : lanes_) free += lane->free_slots();
  return free;
}

bool Study::better(double a, double b) const {
  return to_minimized(a, options_.metric.direction) < to_minimized(b, options_.metric.direction);
}

}  // namespace finetune
