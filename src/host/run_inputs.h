// The files that a run reads: what they were when it began, so that a run that is gone on with, or that runs for days,
// notices when one has changed. Torch-free.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "config/run_config.h"

namespace finetune {

struct RunInput {
  std::filesystem::path path;
  std::uint64_t bytes = 0;
  std::int64_t modified = 0;  ///< nanoseconds since the epoch
  std::string hash;           ///< core/content_hash.h; "" where nobody has computed it
};

/// Data, template, and what a checkpoint's and an adapter's folder hold of weights, configuration and tokenizer;
/// sorted. Without hashes, but for what a program holds in memory, which has no time. Throws Error (bad_input) naming
/// one that is gone.
std::vector<RunInput> run_inputs(const RunConfig& config);

/// Reads all of them. What has changed since it was described keeps an empty hash.
void hash_inputs(std::vector<RunInput>& inputs);

/// By size and time, which costs nothing: the first that differs, as "PATH has changed: ..."; nothing where none does.
std::optional<std::string> changed_on_disk(const std::vector<RunInput>& inputs);

/// By size and, where it was computed, content: the first difference between what a run began with and what is there.
std::optional<std::string> changed_since(const std::vector<RunInput>& begun, const std::vector<RunInput>& now);

nlohmann::ordered_json to_json(const std::vector<RunInput>& inputs);
/// Throws Error (bad_input) for what is damaged.
std::vector<RunInput> inputs_from_json(const nlohmann::ordered_json& json);

}  // namespace finetune
