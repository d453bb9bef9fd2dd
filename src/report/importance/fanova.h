// Functional ANOVA (Hutter, Hoos, Leyton-Brown: An Efficient Approach for Assessing Hyperparameter Importance, ICML
// 2014): of the variance that a random forest sees over the whole search space, the share that one parameter makes on
// its own, and that two make together beyond what each does.
#pragma once

#include <cstddef>
#include <vector>

#include "report/importance/forest.h"
#include "report/importance/observations.h"

namespace finetune {

/// Two axes, the first the lower one, and the share of the variance that is theirs together.
struct Interaction {
  std::size_t first = 0, second = 0;
  double share = 0;
};

struct Fanova {
  std::vector<double> shares;             ///< an axis each, 0 to 1; what is missing to 1 is interactions
  std::vector<Interaction> interactions;  ///< of the axes with the largest shares, largest first
};

/// Means over the trees that are no constant; marginals are exact, by the leaves' boxes. `paired`: so many axes are
/// looked at two by two, the cost of which grows with the square of the trials. All shares are 0 where no tree found a
/// difference.
Fanova fanova(const PlainPoints& trials, std::size_t paired = 6, const ForestOptions& options = {});

}  // namespace finetune
