// How much a metric depends on which validation examples there happen to be: examples are drawn again and again with
// replacement, as many as there are, and the metric is computed over each draw. Torch-free, plain values.
#pragma once

#include <cstddef>
#include <vector>

#include "report/facts.h"

namespace finetune {

/// 2,000; fewer where `examples` of `sides` would be more than 20 million figures, but no fewer than 100.
std::size_t bootstrap_draws(std::size_t examples, std::size_t sides);

/// The winner (study.judged.front()) with each other one of study.judged. Every draw takes the same examples of all of
/// them, so that an example that is hard for everybody separates nobody. `difference` is over the examples as they are,
/// `low` and `high` are the 2.5 and the 97.5 percentile over the draws (interpolated as numpy.percentile does). Draws
/// are a stream of their own, so the same figures give the same interval. Others of which there are no figures, not as
/// many as of the winner, or none that are finite, are left out; all are where study.metric is not made of examples.
std::vector<ComparisonFact> compare_judged(const ReportFacts& study);

}  // namespace finetune
