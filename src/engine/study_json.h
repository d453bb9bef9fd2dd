// A snapshot of a study as JSON and back. Images are named in it and lie elsewhere.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "engine/study_state.h"

namespace finetune {

/// The name under which an image is kept.
using NameImage = std::function<std::string(const std::shared_ptr<const TrialImage>&)>;
using FindImage = std::function<std::shared_ptr<const TrialImage>(const std::string&)>;

/// Numbers read back as the same doubles, so from_json gives an equal state. `config` of a trial is not in it: it
/// follows from its parameters.
nlohmann::ordered_json to_json(const StudyState& state, const NameImage& name);

/// `json` is not trusted: Throws Error (bad_input) without a place for what is missing, of the wrong kind or beyond
/// `lanes`. Calls `find` once for every name.
StudyState study_from_json(const nlohmann::ordered_json& json, std::size_t lanes, const FindImage& find);

}  // namespace finetune
