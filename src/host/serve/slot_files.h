// A slot as a folder: an adapter in PEFT's format, and beside it, where it is wanted, all that the slot needs to go on
// where it was (weights, moments, gradients that wait, steps), in optimizer.safetensors.
#pragma once

#include <filesystem>

#include "engine/service.h"
#include "engine/session.h"

namespace finetune {

inline constexpr const char* kSlotStateName = "optimizer.safetensors";

/// The folder appears whole, under a name that nothing has; its parents are made. Throws Error (bad_input where
/// something is there).
void save_slot(const Session& session, const Service& service, std::int64_t slot, const std::filesystem::path& folder,
               bool optimizer);

/// An adapter of the slot's own shape replaces it. With `optimizer` the whole state, as it was saved; without it
/// moments and steps begin anew. Throws Error (bad_input), the slot untouched.
void load_slot(const Session& session, Service& service, std::int64_t slot, const std::filesystem::path& folder,
               bool optimizer);

}  // namespace finetune
