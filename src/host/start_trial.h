// The first trial that the user's guesses make: key `start` of a searched parameter.
#pragma once

#include <optional>

#include "config/run_config.h"
#include "tuners/space/space.h"

namespace finetune {

/// Nothing where no parameter has a `start`. Else every parameter that is active: its start, without one the
/// configuration's own value where the space holds it (never in asktell), else the middle: of a range and an ordinal
/// what value_at gives for 0.5, of a categorical the first choice. Throws Error (bad_input) naming search.NAME.start
/// for a value that the parameter does not have, and for one of a parameter that the others switch off.
std::optional<Params> start_trial(const RunConfig& config, const SearchSpace& space, bool asktell = false);

/// The guesses alone, of the parameters that have one. Throws Error (bad_input) for a value that the parameter does not
/// have.
Params start_values(const RunConfig& config, const SearchSpace& space);

}  // namespace finetune
