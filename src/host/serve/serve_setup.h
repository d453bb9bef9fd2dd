// What a service is before its first request: which keys it reads, and how many slots there is room for.
#pragma once

#include <cstdint>

#include "config/run_config.h"
#include "engine/session.h"

namespace finetune {

/// Where nobody says how many slots; fewer where memory does not hold them.
inline constexpr std::int64_t kUsualSlots = 16;

/// Opens the model; no data is read. train.lora and train.seed are what a slot is unless it is opened as something
/// else, and the room that there is: the largest rank, all modules that may be adapted. `slots`: 0 = kUsualSlots.
/// Throws Error (bad_input) for what has no meaning to a service: full fine-tuning, model.adapter, several devices.
Session open_to_serve(RunConfig config, std::int64_t slots);

/// `slots`, or where it is 0 as many as memory holds. Throws Error (bad_input) with the numbers where those asked for
/// do not fit.
std::int64_t slots_to_serve(const Session& session, std::int64_t slots);

}  // namespace finetune
