// What a study says to a lane in another process, and what that answers: JSON, and images beside it as the bytes of an
// image file (study/image_file.h). Numbers read back as the same doubles, so a study decides as it would here.
//
//   {"do": "admit", "trial": 3, "config": {...}}          -> {}
//   {"do": "step", "trials": [0, 1]}                      -> {"steps": [{...}], "tokens_per_pass": 4096, "seconds": 1}
//   {"do": "evaluate", "trials": [0], "tasks": true, ...} -> {"evaluations": [{...}], "seconds": 1.5}
//   {"do": "capture", "trial": 3}                         -> {} and an image, or {"none": true}
//   {"do": "restore", "trial": 3, "config": {...}} and an image, "copy", "copy_from_image", "change", "release", ...
//
// What cannot be carried out is answered by {"error": {"kind": ..., "where": ..., "message": ...}} and changes nothing.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "config/run_config.h"
#include "core/error.h"
#include "core/metric.h"
#include "engine/lane.h"

namespace finetune::remote {

using Json = nlohmann::ordered_json;

Json config_json(const TrainConfig& config);
/// Throws Error (bad_input) for what config_json does not write.
TrainConfig config_from(const Json& json);

/// With everything of them (engine/result_json.h).
Json step_message(const StepResult& result);
StepResult step_from_message(const Json& json);
Json evaluation_message(const EvalResult& result);
EvalResult evaluation_from_message(const Json& json);

Json error_json(const Error& error);
/// Throws the error that a reply holds, if it does.
void rethrow_error(const Json& reply);

Json trials_json(std::span<const TrialId> trials);
std::vector<TrialId> trials_from(const Json& json);

}  // namespace finetune::remote
