// A line as a request: one verb and what it asks, with an id of the sender's own.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace finetune {

enum class ServeVerb { open, close, forward_backward, forward, optim_step, sample, save, load, slots, shutdown };
const char* name_of(ServeVerb verb);

/// Whether several of them, of different slots, are computed as one pack.
bool packs(ServeVerb verb);

struct ServeRequest {
  nlohmann::ordered_json id;  ///< a text or a number; null: none was given
  ServeVerb verb = ServeVerb::slots;
  nlohmann::ordered_json body;  ///< an object
  /// Whose order the request is part of: a slot; none of those that speak of no slot, or of the base.
  std::optional<std::int64_t> slot;
};

/// {"VERB": {...}, "id": ...}. Throws Error (bad_input, no location): the line is no JSON, or not of this form.
ServeRequest parse_request(std::string_view line);

/// The id of a line that is wrong in another place; null where there is none.
nlohmann::ordered_json id_of(std::string_view line);

}  // namespace finetune
