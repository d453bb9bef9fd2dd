// A random forest of regression trees (Breiman, Random Forests, 2001) as the boxes of its leaves, which is what fANOVA
// integrates over. Random numbers are streams of core/random.h: the same trials give the same forest everywhere.
#pragma once

#include <cstdint>
#include <vector>

#include "report/importance/observations.h"

namespace finetune {

/// What a leaf covers of an axis: (low, high] of a range, in the units of `scaled`, or some of the choices.
struct Side {
  double low = 0, high = 1;
  std::vector<bool> has;  ///< of an axis with choices, one each
};

struct Leaf {
  double value = 0;  ///< the mean loss of the trials in it
  std::vector<Side> sides;
};

/// The leaves of a tree; together they cover all axes, without overlap.
using TreeLeaves = std::vector<Leaf>;

struct ForestOptions {
  std::size_t trees = 64;
  std::size_t fewest_to_split = 2;  ///< trials, repeated ones included
};

/// Trees that are grown to the end up to a thousand trials. Of more a leaf holds some, so that a tree does not have
/// many more than a thousand leaves, each pair of which is looked at.
ForestOptions forest_options(std::size_t trials);

/// All of an axis, each value with the same share: of whole numbers half a unit goes to either side, of an axis with
/// `log` it is the logarithms that are spread evenly.
Side whole_side(const Axis& axis);
/// Where a value stands on its side: itself, its logarithm, the index of a choice.
double scaled(const Axis& axis, double value);

/// Each tree is grown on trials that are drawn with repetition, to the end: every split is the one of all axes that
/// leaves the least variance (ties: the first). Splits of a range lie halfway between two values; choices are parted in
/// the order of their means, which holds the best of all partitions (Fisher 1958); a choice that no trial of a node has
/// goes with the larger part.
std::vector<TreeLeaves> grow_forest(const PlainPoints& trials, const ForestOptions& options = {});

}  // namespace finetune
