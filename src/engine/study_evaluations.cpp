// What is measured when, and what the tuner is told of it.
#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "core/error.h"
#include "engine/schedule.h"
#include "engine/study.h"

namespace finetune {

bool Study::wants_evaluation(const Trial& trial, std::int64_t step) const {
  if (!options_.has_validation) return false;
  if (step == last_step(trial.config)) return true;
  if (is_extra(trial.id)) return false;
  if (options_.eval_every > 0 && step % options_.eval_every == 0) return true;
  return is_listed(trial.id) && tuner_.is_milestone(trial.id, step);
}

// Results in the order of `ids`, each lane's in one pack.
std::vector<EvalResult> Study::evaluate(const std::vector<TrialId>& ids, const EvalRequest& request) {
  std::map<std::size_t, std::vector<std::size_t>> by_lane;
  for (std::size_t i = 0; i < ids.size(); ++i) by_lane[state_.trial(ids[i]).lane].push_back(i);
  std::vector<std::size_t> lanes;
  for (const auto& [lane, who] : by_lane) lanes.push_back(lane);
  std::vector<EvalResult> results(ids.size());
  lanes_.run(lanes, [&](Lane& there, std::size_t lane) {
    const std::vector<std::size_t>& who = by_lane.at(lane);
    std::vector<TrialId> asked;
    for (const std::size_t i : who) asked.push_back(ids[i]);
    std::vector<EvalResult> evaluated = there.evaluate(asked, request);
    for (std::size_t k = 0; k < who.size(); ++k) results[who[k]] = std::move(evaluated[k]);
  });
  return results;
}

// Who has come to its end is measured whole, the others as far as rungs compare.
void Study::take_evaluations(StudyRound& round) {
  round.metrics.resize(round.trials.size());
  for (const bool at_end : {false, true}) {
    std::vector<std::size_t> who;
    std::vector<TrialId> ids;
    for (std::size_t i = 0; i < round.trials.size(); ++i) {
      const Trial& trial = state_.trial(round.trials[i]);
      if (!round.steps[i].finite || !trial.awaits_answer || !wants_evaluation(trial, round.steps[i].step)) continue;
      if ((round.steps[i].step >= last_step(trial.config)) != at_end) continue;
      who.push_back(i);
      ids.push_back(trial.id);
    }
    if (ids.empty()) continue;
    const std::vector<EvalResult> results = evaluate(ids, {.tasks = at_end || options_.tasks_at_rungs});
    for (std::size_t k = 0; k < who.size(); ++k) take_evaluation(round, who[k], results[k]);
  }
  drop_images_that_lost();
}

void Study::take_evaluation(StudyRound& round, std::size_t i, const EvalResult& result) {
  Trial& trial = state_.trial(round.trials[i]);
  const bool at_end = round.steps[i].step >= last_step(trial.config);
  const Metric& compared = at_end ? options_.metric : options_.rung_metric;
  MetricValues values{value_of(options_.metric, result), value_of(compared, result)};
  round.steps[i].failure = result.failure;
  // What a program of the user's could not say is no number of the trial's; without one at its end it has no result.
  if (result.failure.empty() && compared.source == MetricSource::command && !std::isfinite(*values.compared)) {
    values = {};
    if (at_end) round.steps[i].failure = "tune.command gave no number";
  }
  round.metrics[i] = values.compared;
  if (values.compared && compared.direction != options_.metric.direction) round.metrics[i] = -*values.compared;
  note_evaluation(trial, result, values);
}

void Study::note_evaluation(Trial& trial, const EvalResult& result, const MetricValues& values) {
  for (auto* observer : observers_) observer->on_evaluation(trial, result, values);
  if (!values.metric || !std::isfinite(*values.metric)) return;
  const double metric = *values.metric;
  trial.metric = metric;
  trial.evaluation = result;
  trial.metric_step = trial.step;
  if (trial.best_metric && !better(metric, *trial.best_metric)) return;
  trial.best_metric = metric;
  trial.best_step = trial.step;
  trial.best_origin = trial.origin;
  trial.best_schedule = trial.schedule;
  const bool keeps = is_listed(trial.id) || (trial.id == kDefaultRun && options_.after.kept_images() > 0);
  if (keeps) keep_best(trial);
}

// A fresh adapter changes nothing, so the default run before its first step is the untouched base.
void Study::measure_base() {
  const EvalResult result = evaluate({kDefaultRun}, {}).front();
  if (!result.failure.empty()) return end(*state_.default_run, TrialState::failed, result.failure);
  state_.base_metric = value_of(options_.metric, result);
  if (options_.metric.source == MetricSource::command && !std::isfinite(*state_.base_metric))
    throw failed("", "tune.command gives no number for the untouched base, so nothing was trained");
}

// Where the end comes before a trial's and rungs compare something else, those under way are all there is to choose
// from.
void Study::measure_unmeasured() {
  if (!options_.has_validation || std::string(options_.metric.name) == options_.rung_metric.name) return;
  if (std::ranges::any_of(state_.trials, [](const Trial& trial) { return trial.best_metric.has_value(); })) return;
  std::vector<TrialId> ids;
  for (const Trial& trial : state_.trials) {
    if (trial.state == TrialState::running && trial.resident && trial.step > 0) ids.push_back(trial.id);
  }
  if (ids.empty()) return;
  const std::vector<EvalResult> results = evaluate(ids, {});
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const std::optional<double> metric = value_of(options_.metric, results[i]);
    if (results[i].failure.empty()) note_evaluation(state_.trial(ids[i]), results[i], {metric, metric});
  }
}

}  // namespace finetune
