// A trial's record in the state that a tuner or sampler saves.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "tuners/tuner.h"

namespace finetune {

/// What is not saved of it is said at TrialRecord; the id is its place.
nlohmann::json record_json(const TrialRecord& trial);
/// Throws (Error or nlohmann's) for what is no record.
TrialRecord record_from(TrialId id, const nlohmann::json& json);

}  // namespace finetune
