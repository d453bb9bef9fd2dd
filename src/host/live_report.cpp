#include "host/live_report.h"

#include <algorithm>

#include "core/error.h"
#include "core/files.h"
#include "host/trial_facts.h"
#include "study/run_folder.h"

namespace finetune {
namespace {

constexpr double kPageEvery = 60;    // seconds
constexpr double kPageShare = 0.02;  // of the time, at most

}  // namespace

bool is_report_due(double since, double cost) {
  return since >= std::max(kPageEvery, cost / kPageShare);
}

void LiveReport::on_start(const Trial& trial) {
  if (is_listed(trial.id)) trials_.push_back(&trial);
}

void LiveReport::on_resume(const StudyState& state) {
  for (const Trial& trial : state.trials) {
    trials_.push_back(&trial);
    evaluated_ = evaluated_ || trial.best_metric;
  }
  base_metric_ = state.base_metric;
}

void LiveReport::on_evaluation(const Trial& trial, const EvalResult&, const MetricValues&) {
  if (is_listed(trial.id)) evaluated_ = true;
}

void LiveReport::on_round(std::int64_t) {
  const double now = options_.seconds();
  if (!evaluated_ || (written_ && !is_report_due(now - last_, cost_))) return;
  try {
    const ReportFacts facts = facts_now();
    write_file_atomically(options_.run / "report.html", report_html(facts));
  } catch (const Error&) {
    // It is the study that matters: the page is written the next time, and once more at the end.
  }
  written_ = true;
  last_ = options_.seconds();
  cost_ = last_ - now;
}

ReportFacts LiveReport::facts_now() const {
  ReportFacts facts = options_.known;
  facts.running = true;
  facts.folder = options_.run.string();
  facts.seconds = options_.seconds();
  facts.rungs = options_.rungs();
  facts.base_metric = base_metric_;
  for (const Trial* trial : trials_) {
    facts.trials.push_back(trial_facts(*trial));
    facts.steps += trial->step;
    facts.tokens += trial->tokens;
    if (trial->state == TrialState::stopped) facts.saved_steps += facts.full_steps - trial->step;
  }
  read_curves(options_.run, facts);
  facts.best = best_so_far(facts);
  analyze(facts);
  return facts;
}

std::optional<std::size_t> best_so_far(const ReportFacts& study) {
  std::optional<std::size_t> best;
  for (const bool completed_only : {true, false}) {
    for (std::size_t i = 0; i < study.trials.size(); ++i) {
      const TrialFacts& trial = study.trials[i];
      if (!trial.metric || (completed_only && trial.state != "completed")) continue;
      const auto minimized = [&](std::size_t k) { return to_minimized(*study.trials[k].metric, study.direction); };
      if (!best || minimized(i) < minimized(*best)) best = i;
    }
    if (best) break;
  }
  return best;
}

}  // namespace finetune
