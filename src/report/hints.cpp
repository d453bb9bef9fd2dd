#include "report/hints.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

#include "core/text.h"
#include "report/parameters.h"
#include "report/words.h"

namespace finetune {
namespace {
constexpr std::int64_t kFewExamples = 30;

using Hints = std::vector<HintFact>;

constexpr double kEdge = 0.02, kWorse = 0.01, kTogether = 0.1, kMostlyEvaluation = 0.5;
constexpr double kMostExamples = 1e7;

enum class End { none, low, high };

std::string rounded_text(const Value& value) {
  const auto* number = std::get_if<double>(&value);
  return number != nullptr ? fmt::format("{:.4g}", *number) : to_text(value);
}

End end_of_choices(const ParameterFacts& parameter, const Value& value) {
  const auto& choices = parameter.choices;
  if (!parameter.ordinal || choices.size() < 3) return End::none;  // of two each is an end
  return same_value(choices.front(), value) ? End::low : same_value(choices.back(), value) ? End::high : End::none;
}

End end_of_range(const ParameterFacts& parameter, double value) {
  double low = parameter.low, high = parameter.high;
  if (!(high > low) || (parameter.integer && high - low < 2)) return End::none;
  if (parameter.integer) return value <= low ? End::low : value >= high ? End::high : End::none;
  if (parameter.log) low = std::log(low), high = std::log(high), value = value > 0 ? std::log(value) : low;
  const double at = (value - low) / (high - low);
  return at <= kEdge ? End::low : at >= 1 - kEdge ? End::high : End::none;
}

// Nothing lies below 0, or below 1 of what is counted, and nothing above a share of 1.
bool may_be_wider(const ParameterFacts& parameter, End end) {
  if (!parameter.choices.empty() || parameter.log) return true;
  if (end == End::low) return parameter.low != 0 && !(parameter.integer && parameter.low == 1);
  return parameter.integer || parameter.low != 0 || parameter.high != 1;
}

Hints ends_of_ranges(const ReportFacts& study) {
  Hints hints;
  if (!study.best) return hints;
  const TrialFacts& best = study.trials[*study.best];
  for (const ParameterFacts& parameter : study.search) {
    const Value* value = find_param(best.params, parameter.name);
    if (value == nullptr || (parameter.choices.empty() && std::holds_alternative<std::string>(*value))) continue;
    const End end =
        parameter.choices.empty() ? end_of_range(parameter, as_number(*value)) : end_of_choices(parameter, *value);
    if (end == End::none || !may_be_wider(parameter, end)) continue;
    const bool low = end == End::low;
    const Value bound = !parameter.choices.empty() ? (low ? parameter.choices.front() : parameter.choices.back())
                                                   : Value{low ? parameter.low : parameter.high};
    hints.push_back({fmt::format("The best {} lies at the {} end of what was searched: there may be better {}, so try "
                                 "a wider range.",
                                 parameter.name, low ? "lower" : "upper", low ? "below" : "above"),
                     fmt::format("trial {} has {}, the search {} at {}", best.id, rounded_text(*value),
                                 low ? "begins" : "ends", rounded_text(bound))});
  }
  return hints;
}

// Mean training loss of the last tenth of a trial's steps before `step`; single steps are noise.
std::optional<double> loss_before(const TrialFacts& trial, std::int64_t step) {
  const std::int64_t window = std::max<std::int64_t>(1, trial.steps / 10);
  double sum = 0, count = 0;
  for (const CurvePoint& point : trial.train_loss) {
    if (point.step > step || point.step <= step - window || !std::isfinite(point.value)) continue;
    sum += point.value;
    count += 1;
  }
  return count > 0 ? std::optional(sum / count) : std::nullopt;
}

// What shows that a trial learned its training data only, after its best step; "" where it did not.
std::string overfitting_of(const ReportFacts& study, const TrialFacts& trial) {
  const CurvePoint *best = nullptr, *last = nullptr;
  for (const CurvePoint& point : trial.metrics) {
    if (!std::isfinite(point.value)) continue;
    if (best == nullptr || to_minimized(point.value, study.direction) < to_minimized(best->value, study.direction))
      best = &point;
    last = &point;
  }
  if (best == nullptr || last->value == best->value ||
      std::fabs(last->value - best->value) < kWorse * std::fabs(best->value) || last == best)
    return "";
  const auto before = loss_before(trial, best->step), after = loss_before(trial, last->step);
  if (!before || !after || *after >= *before) return "";
  return fmt::format(
      "trial {} has {} {:.4g} at step {} and {:.4g} at step {}, while its training loss fell from {:.3g} "
      "to {:.3g}",
      trial.id, study.metric, best->value, best->step, last->value, last->step, *before, *after);
}

Hints overfitting(const ReportFacts& study) {
  std::string evidence = study.best ? overfitting_of(study, study.trials[*study.best]) : "";
  const bool best = !evidence.empty();
  std::size_t completed = 0, worse = 0;
  for (const TrialFacts& trial : study.trials) {
    if (trial.state != "completed") continue;
    const std::string one = overfitting_of(study, trial);
    ++completed;
    worse += one.empty() ? 0 : 1;
    if (evidence.empty()) evidence = one;
  }
  const bool most = completed >= 3 && 2 * worse > completed;
  if (!best && !most) return {};
  if (most) evidence = fmt::format("{} of {} completed trials; {}", worse, completed, evidence);
  return {{"Training goes on past its best point: fewer steps (train.steps) would cost less and probably lose nothing.",
           std::move(evidence)}};
}

Hints rate_together(const ReportFacts& study) {
  Hints hints;
  for (const InteractionFact& pair : study.interactions) {
    for (const char* other : {"train.batch_size", "train.lora.rank"}) {
      const bool is = (pair.first == "train.learning_rate" && pair.second == other) ||
                      (pair.second == "train.learning_rate" && pair.first == other);
      if (!is || !(pair.share >= kTogether)) continue;
      hints.push_back({fmt::format("The best train.learning_rate depends on {0}: search both together, and after a "
                                   "change of {0} search the rate again.",
                                   other),
                       fmt::format("both together make {:.0f} % of the variance of {} beyond what each does alone",
                                   100 * pair.share, study.metric)});
    }
  }
  return hints;
}

Hints misleading_rungs(const ReportFacts& study) {
  if (study.guarded_levels.empty()) return {};
  std::vector<std::string> steps;
  for (const std::int64_t level : study.guarded_levels) steps.push_back(std::to_string(level));
  return {
      {"Early values mislead here, so nobody was stopped by them any more: a larger min_steps compares trials later.",
       fmt::format("those that went on from step {} came to a later rung in the opposite order", join(steps, ", "))}};
}

Hints hardly_any_examples(const ReportFacts& study) {
  const std::int64_t examples = study.judged_examples;
  if (examples <= 0 || examples >= kFewExamples || !study.comparisons.empty()) return {};
  return {{"The validation set is too small to say anything of new data: a hundred examples and more do.",
           fmt::format("it has {}", examples)}};
}

// The interval's width goes with one over the root of the number of examples: so many that 0 is no longer in it.
Hints too_few_examples(const ReportFacts& study) {
  const auto is_trial = [](const ComparisonFact& comparison) { return comparison.other.has_value(); };
  const auto next = std::ranges::find_if(study.comparisons, is_trial);
  if (!study.best || next == study.comparisons.end() || next->low > 0 || next->high < 0 || next->examples <= 0)
    return {};
  const double gap = std::fabs(next->difference);
  const double factor = (next->difference > 0 ? next->difference - next->low : next->high - next->difference) / gap;
  const double needed = static_cast<double>(next->examples) * std::max(1.05, factor * factor);  // more than there are
  const bool hopeless = !(gap > 0) || !(needed < kMostExamples);
  std::string evidence =
      fmt::format("over {} examples trial {} is {:.3g} {} than trial {}, and with others it would be {}",
                  with_commas(next->examples), study.trials[*study.best].id, gap,
                  next->difference < 0 ? "worse" : "better", *next->other, better_text(next->low, next->high));
  if (next->low == 0 && next->high == 0)
    evidence = fmt::format("trials {} and {} are the same in each of {} examples", study.trials[*study.best].id,
                           *next->other, with_commas(next->examples));
  if (hopeless)
    return {
        {"The winner and the next best are as good as each other on the validation data: take whichever is cheaper.",
         std::move(evidence)}};
  // Two figures: more is not known.
  const double power = std::pow(10, std::max(0.0, std::floor(std::log10(needed)) - 1));
  return {
      {fmt::format("The validation set is too small to tell the winner from the next best: about {} examples would.",
                   with_commas(static_cast<long long>(std::ceil(needed / power - 1e-9) * power))),
       std::move(evidence)}};
}

constexpr Hints (*kTable[])(const ReportFacts&) = {ends_of_ranges,   overfitting,         rate_together,
                                                   misleading_rungs, hardly_any_examples, too_few_examples};

Hints mostly_evaluation(const ReportFacts& study) {
  if (!study.evaluation_seconds || !(study.seconds > 0) || all_failed(study)) return {};
  const double share = *study.evaluation_seconds / study.seconds;
  if (!(share > kMostlyEvaluation)) return {};
  const auto is_written = [&](const Metric& metric) { return study.metric == metric.name && generates(metric); };
  const bool writes = std::ranges::any_of(metrics(), is_written);
  return {{fmt::format(
               "Most of the time went into evaluation: {}a smaller tune.eval_share or fewer validation rows leave more "
               "of it for training.",
               writes ? "a smaller tune.generate.examples, " : ""),
           fmt::format("{} of {}", duration_text(*study.evaluation_seconds), duration_text(study.seconds))}};
}

}  // namespace

std::vector<HintFact> hints_of(const ReportFacts& study) {
  Hints hints;
  for (const auto hint : kTable) std::ranges::move(hint(study), std::back_inserter(hints));
  return hints;
}

std::vector<HintFact> hints_to_show(const ReportFacts& study) {
  Hints hints = study.hints;
  std::ranges::move(mostly_evaluation(study), std::back_inserter(hints));
  return hints;
}

}  // namespace finetune
