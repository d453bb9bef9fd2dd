// How sure it is that the winner is one: what other seeds (tune.confirm) and other validation examples (bootstrap.h)
// would change. Torch-free, plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "report/facts.h"

namespace finetune {

/// Whether the winner's lead over another is more than chance, by one source of it.
enum class Lead {
  unknown,  ///< nothing was measured
  chance,   ///< the 95 % interval has 0 in it, or the other is ahead
  sure
};

/// Standing of the winner against a trial, or against the default configuration (nothing).
struct Standing {
  Lead seeds = Lead::unknown;
  Lead examples = Lead::unknown;

  bool known() const { return seeds != Lead::unknown || examples != Lead::unknown; }
  /// Whatever was measured says so.
  bool sure() const { return known() && seeds != Lead::chance && examples != Lead::chance; }
};

/// By seeds: means over further seeds, what a seed changes being measured over all configurations that were confirmed
/// with two or more together (a pooled standard deviation and Student's t, since a few seeds alone say little of it).
/// The default configuration is a single run. By examples: the interval of study.comparisons.
Standing standing_against(const ReportFacts& study, std::optional<std::int64_t> other);

/// Nothing where the trial was not confirmed, or not with finite values.
const ConfirmedFact* confirmed_of(const ReportFacts& study, std::int64_t trial);
const ComparisonFact* comparison_with(const ReportFacts& study, std::optional<std::int64_t> other);

/// "1.66 ± 0.011", or "1.66" of a single seed.
std::string mean_text(const ConfirmedFact& confirmed);

/// "other seeds", "other validation examples" or both, whichever of them leave the lead to chance.
std::string chance_text(const Standing& standing);

/// Sentences, each with a blank before it; "" where nothing was measured.
std::string seeds_text(const ReportFacts& study);        ///< the winner over further seeds, or why there are none
std::string first_three_text(const ReportFacts& study);  ///< whether the winner and the next two differ
std::string test_text(const ReportFacts& study);         ///< on data that no choice has seen

}  // namespace finetune
