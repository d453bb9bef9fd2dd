#include "engine/study.h"

#include <algorithm>
#include <utility>

namespace finetune {

Study::Study(StudyOptions options, Tuner& tuner, std::vector<Lane*> lanes, std::vector<StudyObserver*> observers)
    : options_(std::move(options)),
      tuner_(tuner),
      lanes_(std::move(lanes)),
      observers_(std::move(observers)),
      ahead_(rounds_ahead()),
      lag_(ahead_ > 0 ? 0 : options_.lag),
      timed_(lanes_.size()),
      speeds_(lanes_.size(), 1) {
  for (std::size_t lane = 0; lane < lanes_.size(); ++lane) slots_.push_back(lanes_.at(lane).free_slots());
}

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
    forget_under_way();
  }
  return finish(std::move(after));
}

void Study::search() {
  while (!ended_) {
    admit_new();
    even_out();
    if (!step_round() && !wait_for_peers()) break;
  }
  if (ended_ != EndReason::interrupted) end_search();
}

void Study::judge(StudyRound round) {
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
  measure_speeds();
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

// Where the search has not ended by itself, the user ended it.
StudyResult Study::finish(AfterResult after) {
  collect_all();
  forget_under_way();
  const EndReason reason = ended_ ? *ended_ : *state_.search_ended;
  end_all(to_text(reason));
  const bool all_failed = std::all_of(state_.trials.begin(), state_.trials.end(), [](const Trial& trial) {
    return trial.elsewhere || trial.state == TrialState::failed;
  });
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

bool Study::better(double a, double b) const {
  return to_minimized(a, options_.metric.direction) < to_minimized(b, options_.metric.direction);
}

}  // namespace finetune
