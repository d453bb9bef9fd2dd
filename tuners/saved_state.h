// Numbers of a state that a tuner saved, which is read as untrusted: what a decision indexes or counts with is checked
// here, so that a forged state is refused when it is loaded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <span>

#include "core/trial.h"
#include "tuners/tuner.h"

namespace finetune {

/// A whole number from 0 to 2^53. Throws Error (bad_input) for another, or nlohmann's for no whole number.
std::int64_t count_from(const nlohmann::json& json);
/// One below `size`.
std::size_t index_from(const nlohmann::json& json, std::size_t size);
/// The id of one of `trials`.
TrialId trial_from(const nlohmann::json& json, std::span<const TrialRecord> trials);
/// Throws unless `places`, of different trials, are one for each of `trials`.
void require_all(std::size_t places, std::span<const TrialRecord> trials);

}  // namespace finetune
