#include "study/warm_start.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "core/error.h"
#include "core/metric.h"
#include "core/text.h"
#include "tuners/space/checked_value.h"

namespace finetune {
namespace {

constexpr std::size_t kReasonsShown = 8;

// What speaks against a trial; "" for nothing. Puts what the space knows of its parameters into `params`.
std::string misfit(const SearchSpace& space, const PastTrial& trial, Params& params) {
  if (trial.state == PastState::unfinished) return "not finished";
  if (trial.state == PastState::failed) return "failed";
  if (trial.state == PastState::complete && !trial.value) return "without a finite value";
  for (const ParameterSpec& spec : space.parameters) {
    if (!is_active(spec, params)) continue;
    const Value* value = find_param(trial.params, spec.name);
    if (value == nullptr) return "without " + spec.name;
    auto within = value_within(spec, *value);
    if (!within) return "with " + spec.name + " outside the search";
    params.emplace_back(spec.name, *std::move(within));
  }
  return "";
}

std::string reasons_text(const std::map<std::string, std::int64_t>& reasons) {
  std::vector<std::string> texts;
  std::int64_t more = 0;
  for (const auto& [reason, count] : reasons) {
    if (texts.size() < kReasonsShown)
      texts.push_back(std::to_string(count) + " " + reason);
    else
      more += count;
  }
  if (more > 0) texts.push_back(std::to_string(more) + " for other reasons");
  return join(texts, ", ");
}

// Names that a stranger chose: a few are shown.
std::string some_of(const std::set<std::string>& names) {
  std::vector<std::string> shown;
  for (const std::string& name : names) {
    if (shown.size() < kReasonsShown) shown.push_back(name);
  }
  const std::size_t more = names.size() - shown.size();
  return join(shown, ", ") + (more == 0 ? "" : " and " + std::to_string(more) + " more");
}

// The last step of its complete trials; where none of them reports, its pruned trials ended before the end.
std::int64_t full_step_of(const PastStudy& past) {
  std::int64_t full = 0, seen = 0;
  for (const PastTrial& trial : past.trials) {
    if (trial.curve.empty()) continue;
    const std::int64_t last = trial.curve.back().first;
    seen = std::max(seen, last);
    if (trial.state == PastState::complete) full = std::max(full, last);
  }
  const bool grows = seen < std::numeric_limits<std::int64_t>::max();
  return full > 0 ? full : seen + (grows ? 1 : 0);
}

void say_assumptions(const PastStudy& past, const WarmStartFacts& facts, std::vector<std::string>& lines) {
  const std::string taken = "its values are taken for " + facts.metric;
  if (past.metric.empty() && !facts.metric.empty()) lines.push_back(past.source + " names no metric: " + taken);
  if (!past.metric.empty() && !facts.metric.empty() && past.metric != facts.metric)
    lines.push_back(past.source + " has the metric " + past.metric + ": " + taken);
  if (!past.rung_metric.empty())
    lines.push_back(past.source + " has " + past.rung_metric +
                    " before a trial's end, which is left out: only trials that came to it count");
  if (!past.model.empty() && !facts.model.empty() && past.model != facts.model)
    lines.push_back(past.source + " tuned another model, " + past.model);
}

void check_direction(const PastStudy& past, Direction direction) {
  if (past.direction == direction) return;
  const std::string theirs = past.direction ? std::string("is to ") + to_text(*past.direction) : "has no direction";
  throw bad_input(past.source, "its study " + theirs + ", this one is to " + to_text(direction));
}

// Theirs to ours. Only their full budget is our full budget.
std::int64_t scaled(std::int64_t step, std::int64_t full, std::int64_t max_steps) {
  if (step >= full) return max_steps;
  const double share = static_cast<double>(step) / static_cast<double>(full);
  return std::clamp<std::int64_t>(std::llround(share * static_cast<double>(max_steps)), 1, max_steps - 1);
}

// In a study of one step nothing lies before the end.
std::vector<std::pair<std::int64_t, double>> values_of(const PastTrial& trial, std::int64_t full, Direction direction,
                                                       std::int64_t max_steps) {
  std::map<std::int64_t, double> values;  // the later one of two that come to lie at one step
  for (const auto& [step, value] : trial.curve) {
    if (step < full && max_steps == 1) continue;
    values[scaled(step, full, max_steps)] = to_minimized(value, direction);
  }
  if (trial.state == PastState::complete) values[max_steps] = to_minimized(*trial.value, direction);
  return {values.begin(), values.end()};
}

}  // namespace

WarmStudy warm_study(const PastStudy& past, const WarmStartFacts& facts) {
  check_direction(past, facts.direction);
  WarmStudy study{.full_step = std::max<std::int64_t>(1, full_step_of(past))};
  std::map<std::string, std::int64_t> reasons;
  std::set<std::string> ignored;
  for (const PastTrial& trial : past.trials) {
    PastTrial used = trial;
    used.params.clear();
    if (!past.rung_metric.empty())
      std::erase_if(used.curve, [&](const auto& value) { return value.first < study.full_step; });
    const std::string reason = misfit(facts.space, trial, used.params);
    if (!reason.empty()) {
      ++reasons[reason];
      continue;
    }
    for (const auto& [name, value] : trial.params) {
      if (facts.space.find(name) == nullptr) ignored.insert(name);
    }
    study.trials.push_back(std::move(used));
  }
  const std::string all = std::to_string(past.trials.size()) + (past.trials.size() == 1 ? " trial" : " trials");
  const std::string why = reasons.empty() ? "" : " (" + reasons_text(reasons) + ")";
  if (study.trials.empty()) throw bad_input(past.source, "tune.warm_start can use none of its " + all + why);
  study.lines.push_back("warm start from " + past.source + ": " + std::to_string(study.trials.size()) + " of " + all +
                        why + (ignored.empty() ? "" : "; not searched here and ignored: " + some_of(ignored)));
  say_assumptions(past, facts, study.lines);
  return study;
}

std::vector<TrialRecord> past_records(std::span<const WarmStudy> studies, Direction direction, std::int64_t max_steps) {
  std::vector<TrialRecord> records;
  for (const WarmStudy& study : studies) {
    for (const PastTrial& trial : study.trials) {
      const bool complete = trial.state == PastState::complete;
      records.push_back({.params = trial.params,
                         .state = complete ? TrialState::completed : TrialState::stopped,
                         .values = values_of(trial, study.full_step, direction, max_steps)});
      records.back().step = records.back().values.empty() ? 0 : records.back().values.back().first;
    }
  }
  std::int64_t id = -std::ssize(records);
  for (TrialRecord& record : records) record.id = TrialId{id++};
  return records;
}

}  // namespace finetune
