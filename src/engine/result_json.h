// What lanes say, as JSON and back, for saves and for lanes in other processes. Numbers read back as the same doubles.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>

#include "core/metric.h"
#include "engine/lane.h"

namespace finetune {

/// Throws Error (bad_input) for what is no whole number, or beyond the type, and would be made one.
std::int64_t whole_from(const nlohmann::ordered_json& json);

/// Without the trial, which whoever writes it says as it likes.
nlohmann::ordered_json step_json(const StepResult& step);
/// Not trusted: throws Error (bad_input) or nlohmann's for what step_json does not write.
StepResult step_from(const nlohmann::ordered_json& json);

/// Without the trial, figures by example and a failure.
nlohmann::ordered_json evaluation_json(const EvalResult& result);
EvalResult evaluation_from(const nlohmann::ordered_json& json, TrialId trial);

}  // namespace finetune
