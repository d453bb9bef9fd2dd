// Whole HuggingFace checkpoints: a base with an adapter merged in, or a fully fine-tuned model.
#pragma once

#include <filesystem>

#include "models/checkpoint.h"
#include "models/peft.h"

namespace finetune {

/// Adds scale x B A to the weights of `model`, which is not quantised (in fp32, rounded to the weight's dtype), and
/// puts the adapter's modules_to_save in the place of its own. The tensors are replaced, so a base that shares storage
/// with them is left alone. Throws Error (failed) when a merged weight is not finite.
void merge_adapter(BaseModel& model, const PeftAdapter& adapter);

/// Writes model.safetensors (above `shard_bytes`: shards and an index) in `dtype`, config.json with that dtype, and the
/// tokenizer and generation files of `source`. The folder appears complete or not at all: written beside `out`, synced,
/// renamed. `out` must not exist or be empty. Throws Error (failed).
void write_checkpoint(const BaseModel& model, at::ScalarType dtype, const std::filesystem::path& source,
                      const std::filesystem::path& out, std::int64_t shard_bytes = 5'000'000'000);

}  // namespace finetune
