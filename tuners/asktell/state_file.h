// A saved asktell session on disk: one line of JSON that names the format and checks the rest, then the state.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>

namespace finetune {

/// Written atomically: an interrupted save leaves the old file. Throws Error (failed) when it cannot be written.
void write_state_file(const std::filesystem::path& path, const nlohmann::ordered_json& state);

/// Throws Error (bad_input) naming the path for a file that is missing, of another kind, cut short or changed.
nlohmann::ordered_json read_state_file(const std::filesystem::path& path);

}  // namespace finetune
