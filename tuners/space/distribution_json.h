// Parameters as Optuna's storages write them: `distribution_to_json` of Optuna 4.9, to the byte, and the one number a
// value is kept as (trial_params.distribution_json and trial_params.param_value).
#pragma once

#include <string>

#include "tuners/space/space.h"

namespace finetune {

/// {"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-05, "high": 0.01, "log": true}} and the like
/// for whole numbers and choices. An ordinal is written as a categorical, its nearest relative there. `high` is lowered
/// to the last step, as Optuna does. Optuna knows no steps on a logarithmic scale: a whole number with both has step 1
/// there, which allows more values than the space does.
std::string distribution_json(const ParameterSpec& spec);

/// The value of a number, the index of a choice.
double distribution_value(const ParameterSpec& spec, const Value& value);

}  // namespace finetune
