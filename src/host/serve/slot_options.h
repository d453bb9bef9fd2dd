// What `open` says of a slot, and what `slots` answers.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>

#include "engine/service.h"
#include "engine/session.h"

namespace finetune {

struct OpenedSlot {
  TrainConfig config;
  std::optional<PeftAdapter> adapter;  ///< to start from
};

/// {"rank", "alpha", "targets", "dropout", "rslora", "init", "dora", "rate_ratio", "rank_pattern", "alpha_pattern",
/// "modules_to_save", "seed", "adapter"}: keys of train.lora by their short names, checked as those are; what is absent
/// is as the service's own configuration says. `adapter`: a PEFT folder, whose shape the slot has then. Throws Error
/// (bad_input, no location) naming the field.
OpenedSlot slot_options(const nlohmann::ordered_json& body, const Session& session);

nlohmann::ordered_json slot_json(const SlotState& slot);

}  // namespace finetune
