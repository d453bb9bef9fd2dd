// What a study does once its search is over (after_search.h): runs of its own, in the same rounds and lanes.
#include <algorithm>
#include <cmath>
#include <functional>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"
#include "engine/schedule.h"
#include "engine/study.h"

namespace finetune {
namespace {

// Why the work could not be done; "" where it was. Only the user's wish to end goes on.
std::string problem_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::interrupted) throw;
    return error.what();
  } catch (const std::bad_alloc&) {
    return "out of memory";
  }
  return "";
}

void note_failures(const std::vector<EvalResult>& measured, AfterResult& result) {
  for (const EvalResult& one : measured) {
    if (result.look_failure.empty()) result.look_failure = one.failure;
  }
}

}  // namespace

// The tuner has seen its last; from here on nothing changes what it saw.
void Study::end_search() {
  collect_all();
  if (!ended_) ended_ = end_reason_from(tuner_.ended_by());
  const EndReason reason = ended_.value_or(EndReason::exhausted);
  if (ended_) measure_unmeasured();
  end_all(std::string("budget.") + to_text(reason) + " used up");
  state_.search_ended = reason;
  state_.search_rounds = state_.rounds;
  ended_.reset();
  if (options_.peers) learn_from_peers();
  const auto best = best_trial();
  if (options_.peers && options_.peers->best_is_elsewhere(best ? &state_.trials[*best] : nullptr))
    options_.after = {};  // that process does it
  if (options_.has_validation) state_.extras = plan_extras(options_.after, state_, options_.metric.direction);
  for (Trial& trial : state_.trials) trial.audit_image.reset();
  add_ablation();
  for (auto* observer : observers_) observer->on_search_end(state_);
}

// The path leads to the winner, whom the confirmations choose.
bool Study::add_ablation() {
  if (!options_.has_validation || !wants_ablation(options_.after, state_)) return false;
  const auto best = winner(confirmed_of(state_, options_.metric.direction));
  if (!best) return false;
  const std::size_t before = state_.extras.size();
  for (ExtraRun& run : plan_ablation(options_.after, state_.trials[*best])) {
    run.trial.id = extra_id(state_.extras.size());
    state_.extras.push_back(std::move(run));
  }
  return state_.extras.size() > before;
}

void Study::end_all(const std::string& why) {
  for (Trial* trial : running()) end(*trial, TrialState::stopped, why);
  for (Trial& trial : state_.trials) {
    if (trial.state != TrialState::paused || trial.elsewhere) continue;
    if (is_audited(trial.id, options_.after.audit)) trial.audit_image = trial.image;
    end(trial, TrialState::stopped, "not resumed");
  }
}

void Study::run_extras() {
  while (!ended_) {
    add_ablation();
    start_extras();
    even_out();
    if (!step_round() && !add_ablation()) break;
  }
}

void Study::start_extras() {
  for (ExtraRun& run : state_.extras) {
    if (run.started) continue;
    if (free_slots() <= 0) return;
    run.started = true;
    place(run.trial, [&] {
      TrainConfig config = configured(run);
      run.trial.label = label_of(run, config.seed);
      return config;
    });
  }
}

TrainConfig Study::configured(const ExtraRun& run) const {
  TrainConfig config = options_.configure(run.trial.params);
  config.seed += run.seed_added;
  if (run.stop_at) config.stop_at = run.stop_at;
  return config;
}

// What a population changed in training is changed again, after the same steps.
void Study::change_extras() {
  for (ExtraRun& run : state_.extras) {
    if (!run.started || run.trial.state != TrialState::running) continue;
    for (const HyperparameterChange& change : run.changes) {
      if (change.step != run.trial.step) continue;
      for (const auto& [name, value] : change.params) set_param(run.trial.params, name, value);
      run.trial.config = configured(run);
      lanes_.at(run.trial.lane).change(run.trial.id, run.trial.config);
    }
  }
}

bool Study::changes_after(TrialId id, std::int64_t step) const {
  if (!is_extra(id)) return false;
  const ExtraRun& run = state_.extra(id);
  return std::ranges::any_of(run.changes, [&](const HyperparameterChange& change) { return change.step == step; });
}

std::optional<std::size_t> Study::winner(const std::vector<Confirmed>& confirmed) const {
  if (!confirmed.empty()) return static_cast<std::size_t>(confirmed.front().trial.value);
  return best_trial();
}

// Images of who is asked about, the base as the default configuration before its first step. The search is over and its
// results are not lost by it: whoever cannot be measured has the reason in its result.
std::vector<EvalResult> Study::measure(const std::vector<Measured>& who, const EvalRequest& request) {
  std::vector<EvalResult> results(who.size());
  Lane& lane = lanes_.at(0);
  const auto room = static_cast<std::size_t>(lane.free_slots());
  for (std::size_t first = 0; first < who.size(); first += room) {
    std::vector<TrialId> ids;
    std::vector<std::size_t> places;
    for (std::size_t i = first; i < std::min(who.size(), first + room); ++i) {
      const TrialId id = extra_id(state_.extras.size() + i);
      results[i].failure = problem_of([&] {
        if (who[i].image)
          lane.restore(id, who[i].config, *who[i].image);
        else
          lane.admit(id, who[i].config);
      });
      if (!results[i].failure.empty()) continue;
      ids.push_back(id);
      places.push_back(i);
    }
    std::vector<EvalResult> measured(ids.size());
    const std::string problem =
        problem_of([&] { lanes_.run({0}, [&](Lane& one, std::size_t) { measured = one.evaluate(ids, request); }); });
    for (std::size_t k = 0; k < ids.size(); ++k) {
      results[places[k]] = std::move(measured[k]);
      if (!problem.empty()) results[places[k]].failure = problem;
      lane.release(ids[k]);
    }
  }
  return results;
}

AfterResult Study::after_result() {
  AfterResult result;
  const Direction direction = options_.metric.direction;
  result.confirm_steps = confirm_cost(options_.after, state_, direction);
  result.confirmed = confirmed_of(state_, direction);
  result.confirm_count = confirm_count(options_.after, state_, direction);
  const auto is_one = [](const ExtraRun& run) { return run.kind == ExtraRun::Kind::confirm; };
  result.confirms = std::ranges::any_of(state_.extras, is_one);
  const auto best = winner(result.confirmed);
  if (!best) return result;
  add_audit(state_, *best_trial(), direction, result);  // that is whom they would have had to beat
  result.ablation = ablation_of(options_.after, state_, *best);
  judge_best(*best, result);
  if (options_.after.has_test) test_best(*best, result);
  return result;
}

void Study::judge_best(std::size_t best, AfterResult& result) {
  if (options_.after.judged == 0 || options_.metric.over == nullptr) return;
  std::vector<std::size_t> order = ranking(state_.trials, options_.metric.direction);
  std::erase(order, best);
  order.insert(order.begin(), best);
  order.resize(std::min(order.size(), options_.after.judged));
  std::vector<const Trial*> trials;
  for (const std::size_t i : order) trials.push_back(&state_.trials[i]);
  if (state_.default_run) trials.push_back(&*state_.default_run);
  std::erase_if(trials, [](const Trial* trial) { return trial->best_image == nullptr; });
  if (trials.empty() || trials.front() != &state_.trials[best]) return;
  std::vector<Measured> who;
  for (const Trial* trial : trials) who.push_back({trial->config, trial->best_image});
  const std::vector<EvalResult> measured = measure(who, {.tasks = true, .examples = true});
  note_failures(measured, result);
  if (!measured.front().failure.empty()) return;  // without the winner there is nothing to compare
  for (std::size_t i = 0; i < trials.size(); ++i) {
    if (measured[i].failure.empty()) result.judged.push_back({trials[i]->id, measured[i].examples});
  }
}

void Study::test_best(std::size_t best, AfterResult& result) {
  const Trial& trial = state_.trials[best];
  if (!trial.best_image || !state_.default_run) return;
  const Trial& usual = *state_.default_run;
  std::vector<Measured> who{{trial.config, trial.best_image}, {usual.config, nullptr}};
  if (usual.best_image) who.push_back({usual.config, usual.best_image});
  const std::vector<EvalResult> measured = measure(who, {.tasks = true, .test = true});
  note_failures(measured, result);
  const auto value = [&](std::size_t i) -> std::optional<double> {
    if (!measured[i].failure.empty()) return std::nullopt;
    const auto metric = value_of(options_.metric, measured[i]);
    return metric && std::isfinite(*metric) ? metric : std::nullopt;
  };
  result.test = TestMetrics{.best = value(0), .base = value(1)};
  if (who.size() > 2) result.test->default_run = value(2);
}

}  // namespace finetune
