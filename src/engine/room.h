// Whether a run can fit into memory at all: asked once sizes and data are known, before the first weight is read.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "engine/session.h"

namespace finetune {

/// What a search trains side by side at the least: a trial, and the default configuration.
inline constexpr std::int64_t kSearchTrials = 2;

/// A line that says what `trials` trials side by side need of a device, what that has free, and what would fit instead;
/// none where they may fit. 0 trials: the base alone. Whatever is estimated to take no more than is free is tried: an
/// estimate is off by a seventh, and a step that runs out of memory is done again in smaller passes.
std::optional<std::string> lack_of_room(const Session& session, std::int64_t trials);

/// Throws Error (bad_input) with that line, naming the model.
void require_room(const Session& session, std::int64_t trials);

}  // namespace finetune
