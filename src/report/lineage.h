// Who descends from whom in a population.
#pragma once

#include <cstdint>
#include <vector>

#include "report/facts.h"

namespace finetune {

/// Steps that a trial trained weights which others took over later.
struct Stretch {
  std::size_t trial = 0;             ///< index into study.trials
  std::int64_t first = 0, last = 0;  ///< from after `first` steps to `last`
};

/// The way that the best weights took through the population, the last stretch being the best trial's own. Empty
/// without a best trial; whatever a damaged lineage says, no longer than there are copies.
std::vector<Stretch> ancestry(const ReportFacts& study);

}  // namespace finetune
