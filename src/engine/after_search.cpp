#include "engine/after_search.h"

#include <algorithm>
#include <cmath>

#include "core/random.h"
#include "engine/schedule.h"

namespace finetune {
namespace {

constexpr std::int64_t kAutoShare = 4;  // of the steps used, one part: design contract, 13.5

std::vector<std::size_t> candidates(const AfterSearch& options, const StudyState& state, Direction direction) {
  std::vector<std::size_t> best = ranking(state.trials, direction);
  best.resize(std::min(best.size(), static_cast<std::size_t>(options.confirm->top)));
  return best;
}

// The configuration with another seed, measured where its trial was best: there alone, for the best of many looks is
// what a trial was chosen by.
ExtraRun confirmation(const Trial& trial, std::int64_t seed) {
  ExtraRun run{.kind = ExtraRun::Kind::confirm, .of = trial.id, .seed_added = seed, .stop_at = trial.best_step};
  run.changes = trial.best_schedule;
  run.trial.params = trial.best_origin;
  return run;
}

void plan_confirmations(const AfterSearch& options, const StudyState& state, Direction direction,
                        std::deque<ExtraRun>& runs) {
  if (!confirms(options, state, direction)) return;
  for (const std::size_t i : candidates(options, state, direction)) {
    for (std::int64_t seed = 1; seed <= options.confirm->seeds; ++seed)
      runs.push_back(confirmation(state.trials[i], seed));
  }
}

void plan_audits(const StudyState& state, std::deque<ExtraRun>& runs) {
  for (const Trial& trial : state.trials) {
    if (!trial.audit_image) continue;
    ExtraRun run{.kind = ExtraRun::Kind::audit, .of = trial.id};
    run.trial.params = trial.params;
    run.trial.image = trial.audit_image;
    run.trial.step = run.trial.submitted = trial.step;
    runs.push_back(std::move(run));
  }
}

std::vector<std::string> changed_parameters(const AfterSearch& options, const Trial& best) {
  std::vector<std::string> names;
  for (const auto& [name, value] : best.params) {
    const Value* usual = find_param(options.defaults, name);
    if (usual == nullptr || *usual != value) names.push_back(name);
  }
  return names;
}

}  // namespace

bool is_audited(TrialId trial, double share) {
  return Random(0, Purpose::report, static_cast<std::uint64_t>(trial.value)).uniform() < share;
}

std::vector<std::size_t> ranking(const std::deque<Trial>& trials, Direction direction) {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < trials.size(); ++i) {
    if (trials[i].best_metric) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    const bool a_whole = trials[a].state == TrialState::completed, b_whole = trials[b].state == TrialState::completed;
    if (a_whole != b_whole) return a_whole;
    return to_minimized(*trials[a].best_metric, direction) < to_minimized(*trials[b].best_metric, direction);
  });
  return order;
}

std::deque<ExtraRun> plan_extras(const AfterSearch& options, const StudyState& state, Direction direction) {
  std::deque<ExtraRun> runs;
  plan_confirmations(options, state, direction, runs);
  plan_audits(state, runs);
  for (std::size_t i = 0; i < runs.size(); ++i) runs[i].trial.id = extra_id(i);
  return runs;
}

std::deque<ExtraRun> plan_ablation(const AfterSearch& options, const Trial& winner) {
  std::deque<ExtraRun> runs;
  if (!winner.best_schedule.empty()) return runs;  // its parameters changed while it was trained
  Params params = options.defaults;
  const std::vector<std::string> names = changed_parameters(options, winner);
  for (std::size_t i = 0; i + 1 < names.size(); ++i) {
    set_param(params, names[i], *find_param(winner.params, names[i]));
    ExtraRun run{.kind = ExtraRun::Kind::ablation, .parameter = names[i]};
    run.trial.params = params;
    runs.push_back(std::move(run));
  }
  return runs;
}

bool wants_ablation(const AfterSearch& options, const StudyState& state) {
  return options.ablation && std::ranges::none_of(state.extras, [](const ExtraRun& run) {
           if (run.kind == ExtraRun::Kind::ablation) return true;
           const bool to_come = !run.started || run.trial.state == TrialState::running;
           return run.kind == ExtraRun::Kind::confirm && to_come;
         });
}

std::string label_of(const ExtraRun& run, std::int64_t seed) {
  const std::string of = run.of ? "trial " + std::to_string(run.of->value) : "";
  switch (run.kind) {
    case ExtraRun::Kind::confirm:
      return of + " with seed " + std::to_string(seed);
    case ExtraRun::Kind::audit:
      return of + ", audited";
    case ExtraRun::Kind::ablation:
      return "the default with the winner's values up to " + run.parameter;
  }
  return of;
}

std::optional<std::int64_t> confirm_cost(const AfterSearch& options, const StudyState& state, Direction direction) {
  if (!options.confirm) return std::nullopt;
  std::int64_t steps = 0;
  for (const std::size_t i : candidates(options, state, direction))
    steps += options.confirm->seeds * state.trials[i].best_step;
  return steps > 0 ? std::optional(steps) : std::nullopt;
}

std::size_t confirm_count(const AfterSearch& options, const StudyState& state, Direction direction) {
  return options.confirm ? candidates(options, state, direction).size() : 0;
}

bool confirms(const AfterSearch& options, const StudyState& state, Direction direction) {
  const auto cost = confirm_cost(options, state, direction);
  return cost && (!options.confirm_is_auto || *cost * kAutoShare <= state.steps);
}

std::vector<Confirmed> confirmed_of(const StudyState& state, Direction direction) {
  std::vector<Confirmed> all;
  for (const ExtraRun& run : state.extras) {
    if (run.kind != ExtraRun::Kind::confirm) continue;
    if (all.empty() || all.back().trial != *run.of) all.push_back({.trial = *run.of, .metrics = {}});
    if (run.trial.best_metric) all.back().metrics.push_back(*run.trial.best_metric);
  }
  std::erase_if(all, [](const Confirmed& one) { return one.metrics.empty(); });
  for (Confirmed& one : all) {
    const auto count = static_cast<double>(one.metrics.size());
    double squares = 0;
    for (const double metric : one.metrics) one.mean += metric / count;
    for (const double metric : one.metrics) squares += (metric - one.mean) * (metric - one.mean);
    if (one.metrics.size() > 1) one.standard_error = std::sqrt(squares / (count - 1) / count);
  }
  std::stable_sort(all.begin(), all.end(), [&](const Confirmed& a, const Confirmed& b) {
    return to_minimized(a.mean, direction) < to_minimized(b.mean, direction);
  });
  return all;
}

void add_audit(const StudyState& state, std::size_t best, Direction direction, AfterResult& result) {
  for (const ExtraRun& run : state.extras) {
    if (run.kind != ExtraRun::Kind::audit || !run.trial.best_metric) continue;
    const bool wins =
        to_minimized(*run.trial.best_metric, direction) < to_minimized(*state.trials[best].best_metric, direction);
    result.audited = result.audited.value_or(0) + 1;
    result.would_have_won = result.would_have_won.value_or(0) + (wins ? 1 : 0);
  }
}

std::vector<AblationStep> ablation_of(const AfterSearch& options, const StudyState& state, std::size_t best) {
  const Trial& winner = state.trials[best];
  const std::vector<std::string> names = changed_parameters(options, winner);
  std::vector<AblationStep> path;
  if (!options.ablation || names.empty() || !winner.best_schedule.empty()) return path;
  path.push_back({.metric = state.default_run ? state.default_run->metric : std::nullopt});
  for (const ExtraRun& run : state.extras) {
    if (run.kind == ExtraRun::Kind::ablation)
      path.push_back({run.parameter, *find_param(winner.params, run.parameter), run.trial.metric});
  }
  path.push_back({names.back(), *find_param(winner.params, names.back()), winner.metric});
  return path;
}

}  // namespace finetune
