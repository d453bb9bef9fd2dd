#include "report/certainty.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "core/text.h"

namespace finetune {
namespace {

constexpr std::size_t kOthers = 2;  // the first three, less the winner

// Two-sided 95 % of Student's t: exact to ten degrees of freedom, then by the expansion of Cornish and Fisher.
double student(std::size_t freedom) {
  constexpr std::array kFew = {12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228};
  if (freedom <= kFew.size()) return kFew[freedom - 1];
  const double z = 1.959964, n = static_cast<double>(freedom), cube = z * z * z;
  return z + (cube + z) / (4 * n) + (5 * cube * z * z + 16 * cube + 3 * z) / (96 * n * n);
}

// What a seed changes: variance of a single run, over all configurations that ran with several.
struct SeedNoise {
  double variance = 0;
  std::size_t freedom = 0;
};
SeedNoise seed_noise(const ReportFacts& study) {
  SeedNoise noise;
  double squares = 0;
  for (const ConfirmedFact& confirmed : study.confirmed) {
    const std::size_t runs = confirmed.metrics.size();
    if (runs < 2 || !confirmed.standard_error || !std::isfinite(*confirmed.standard_error)) continue;
    const double count = static_cast<double>(runs);
    squares += (count - 1) * count * *confirmed.standard_error * *confirmed.standard_error;
    noise.freedom += runs - 1;
  }
  if (noise.freedom > 0) noise.variance = squares / static_cast<double>(noise.freedom);
  return noise;
}

Lead lead_by_seeds(const ReportFacts& study, std::optional<std::int64_t> other) {
  const ConfirmedFact* winner = confirmed_of(study, study.trials[*study.best].id);
  const ConfirmedFact* second = other ? confirmed_of(study, *other) : nullptr;
  double value = std::numeric_limits<double>::quiet_NaN();
  if (second != nullptr) value = second->mean;
  if (!other && study.default_metric) value = *study.default_metric;
  const SeedNoise noise = seed_noise(study);
  if (winner == nullptr || !std::isfinite(value) || noise.freedom == 0) return Lead::unknown;
  const double runs = second != nullptr ? static_cast<double>(second->metrics.size()) : 1;
  const double gain = study.direction == Direction::minimize ? value - winner->mean : winner->mean - value;
  const double chance =
      student(noise.freedom) * std::sqrt(noise.variance * (1 / static_cast<double>(winner->metrics.size()) + 1 / runs));
  return gain > chance ? Lead::sure : Lead::chance;
}

Lead lead_by_examples(const ReportFacts& study, std::optional<std::int64_t> other) {
  const ComparisonFact* comparison = comparison_with(study, other);
  return comparison == nullptr ? Lead::unknown : comparison->low > 0 ? Lead::sure : Lead::chance;
}

// Who came next, as far as anything is known of them.
std::vector<std::int64_t> next_trials(const ReportFacts& study) {
  std::vector<std::int64_t> others;
  const auto add = [&](std::int64_t trial) {
    if (trial == study.trials[*study.best].id || std::ranges::find(others, trial) != others.end()) return;
    if (others.size() < kOthers && standing_against(study, trial).known()) others.push_back(trial);
  };
  for (const ConfirmedFact& confirmed : study.confirmed) add(confirmed.trial);
  for (const ComparisonFact& comparison : study.comparisons) {
    if (comparison.other) add(*comparison.other);
  }
  return others;
}

// 3; 3 and 7; 3, 7 and 1.
std::string list_of(const std::vector<std::int64_t>& trials) {
  std::string text;
  for (std::size_t i = 0; i < trials.size(); ++i)
    text += (i == 0 ? "" : i + 1 == trials.size() ? " and " : ", ") + std::to_string(trials[i]);
  return text;
}

std::string named_trials(const std::vector<std::int64_t>& trials) {
  return (trials.size() == 1 ? "trial " : "trials ") + list_of(trials);
}

}  // namespace

const ConfirmedFact* confirmed_of(const ReportFacts& study, std::int64_t trial) {
  for (const ConfirmedFact& confirmed : study.confirmed) {
    if (confirmed.trial == trial && !confirmed.metrics.empty() && std::isfinite(confirmed.mean)) return &confirmed;
  }
  return nullptr;
}

const ComparisonFact* comparison_with(const ReportFacts& study, std::optional<std::int64_t> other) {
  const auto found = std::ranges::find(study.comparisons, other, &ComparisonFact::other);
  return found == study.comparisons.end() ? nullptr : &*found;
}

Standing standing_against(const ReportFacts& study, std::optional<std::int64_t> other) {
  if (!study.best) return {};
  return {lead_by_seeds(study, other), lead_by_examples(study, other)};
}

std::string mean_text(const ConfirmedFact& confirmed) {
  if (!confirmed.standard_error) return fmt::format("{:.5g}", confirmed.mean);
  return fmt::format("{:.5g} ± {:.2g}", confirmed.mean, *confirmed.standard_error);
}

std::string chance_text(const Standing& standing) {
  std::vector<std::string> sources;
  if (standing.seeds == Lead::chance) sources.emplace_back("other seeds");
  if (standing.examples == Lead::chance) sources.emplace_back("other validation examples");
  return join(sources, " or ");
}

std::string seeds_text(const ReportFacts& study) {
  const ConfirmedFact* winner = study.best ? confirmed_of(study, study.trials[*study.best].id) : nullptr;
  if (winner != nullptr)
    return fmt::format(
        " Over {} more seed{} it has {}{}{}.", winner->metrics.size(), winner->metrics.size() == 1 ? "" : "s",
        mean_text(*winner), winner->standard_error ? " (mean and standard error)" : "",
        study.confirmed.size() > 1 ? fmt::format(", the best of the {} that ran again", study.confirmed.size()) : "");
  if (study.confirmation.empty()) return "";
  std::string sentence = study.confirmation;
  if (sentence.front() >= 'a' && sentence.front() <= 'z') sentence.front() = static_cast<char>(sentence.front() - 32);
  return " " + sentence + ".";
}

std::string first_three_text(const ReportFacts& study) {
  if (!study.best) return "";
  std::vector<std::int64_t> behind, alike;
  Standing doubt;
  for (const std::int64_t other : next_trials(study)) {
    const Standing standing = standing_against(study, other);
    (standing.sure() ? behind : alike).push_back(other);
    if (standing.seeds == Lead::chance) doubt.seeds = Lead::chance;
    if (standing.examples == Lead::chance) doubt.examples = Lead::chance;
  }
  const std::int64_t best = study.trials[*study.best].id;
  if (behind.empty() && alike.empty()) return "";
  if (alike.empty()) return fmt::format(" Trial {} is better than {}.", best, named_trials(behind));
  const std::string why = chance_text(doubt) + " may turn their order around";
  if (!behind.empty())
    return fmt::format(" Trial {} is better than {}, but cannot be told apart from {}: {}.", best, named_trials(behind),
                       named_trials(alike), why);
  alike.insert(alike.begin(), best);
  return fmt::format(" Trials {} cannot be told apart: {}.", list_of(alike), why);
}

std::string test_text(const ReportFacts& study) {
  if (!study.test || !study.best) return "";
  const TestFact& test = *study.test;
  std::string text = test.best ? fmt::format(" On the test data it has {:.5g}", *test.best)
                               : std::string(" On the test data it could not be scored");
  if (test.default_run) text += fmt::format(", the default configuration {:.5g}", *test.default_run);
  if (test.base) text += fmt::format(", the untouched base {:.5g}", *test.base);
  text += ".";
  if (!test.best) return text;
  const auto beats = [&](const std::optional<double>& other) {
    return other && (study.direction == Direction::minimize ? *other <= *test.best : *other >= *test.best);
  };
  if (beats(test.base)) return text + " There training did not improve the base.";
  if (beats(test.default_run)) text += " There it is no better than the default configuration.";
  return text;
}

}  // namespace finetune
