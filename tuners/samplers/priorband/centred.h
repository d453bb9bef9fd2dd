// Distributions around a value: PriorBand's prior, which lies around the user's guesses, the one around the incumbent,
// and the incumbent's mutations.
//
// A range or an ordinal has a normal distribution on its unit interval (position_of), cut to it, of standard deviation
// 1 - confidence; of choices the centre has the mass `confidence` and the others share the rest evenly. A parameter
// without a centre is uniform. So it is in NePS 0.17.0 (sampling/priors.py, `CenteredPrior`), but for a centre of
// choices, which here never has less than its even share.
#pragma once

#include "core/random.h"
#include "core/value.h"
#include "tuners/space/space.h"

namespace finetune {

/// The value at u in [0, 1) of the distribution around `centre` (null: of the uniform one).
Value value_around(const ParameterSpec& spec, const Value* centre, double confidence, double u);

/// The logarithm of its density at `value`: on the unit interval, of choices the mass.
double log_density(const ParameterSpec& spec, const Value* centre, double confidence, const Value& value);

/// Independent draws of all active parameters.
Params draw_around(const SearchSpace& space, const Params& centres, double confidence, Random& random);

/// Over the parameters that `params` has.
double log_density(const SearchSpace& space, const Params& centres, double confidence, const Params& params);

/// How an incumbent is varied, and around what a parameter is drawn that a mutation has switched on.
struct Mutation {
  double rate = 0.5;        ///< probability with which a parameter changes
  double deviation = 0.25;  ///< of a range or ordinal, on its unit interval
  Params centres;
  double confidence = 0.75;
};

/// Each parameter changes with probability `rate`, and at least one does: a range or ordinal to a draw around its
/// value, choices to any other one; a discrete draw may come back to where it was (NePS 0.17.0, `mutate_config`, where
/// it may be that none changes and the incumbent is trained again).
Params mutated(const SearchSpace& space, const Params& incumbent, const Mutation& mutation, Random& random);

}  // namespace finetune
