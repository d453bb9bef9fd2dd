#include "models/export.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cmath>

#include "core/error.h"
#include "core/files.h"
#include "core/folders.h"
#include "models/carried_files.h"
#include "models/safetensors.h"

namespace finetune {
namespace {

namespace fs = std::filesystem;

using Named = std::vector<std::pair<std::string, at::Tensor>>;

std::int64_t bytes_of(const at::Tensor& tensor, at::ScalarType dtype) {
  return tensor.numel() * static_cast<std::int64_t>(at::elementSize(dtype));
}

// Consecutive tensors, at most `limit` bytes each (a larger tensor is a shard of its own).
std::vector<Named> split_shards(const Named& tensors, at::ScalarType dtype, std::int64_t limit) {
  std::vector<Named> shards(1);
  std::int64_t bytes = 0;
  for (const auto& tensor : tensors) {
    const auto size = bytes_of(tensor.second, dtype);
    if (!shards.back().empty() && bytes + size > limit) {
      shards.emplace_back();
      bytes = 0;
    }
    shards.back().push_back(tensor);
    bytes += size;
  }
  return shards;
}

void write_weights(const Named& tensors, at::ScalarType dtype, const fs::path& folder, std::int64_t shard_bytes) {
  const auto shards = split_shards(tensors, dtype, shard_bytes);
  if (shards.size() == 1) return write_safetensors(folder / "model.safetensors", shards.front(), {.dtype = dtype});
  nlohmann::ordered_json index;
  std::int64_t total = 0;
  for (std::size_t i = 0; i < shards.size(); ++i) {
    const std::string name = fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, shards.size());
    write_safetensors(folder / name, shards[i], {.dtype = dtype});
    for (const auto& [tensor, value] : shards[i]) {
      index["weight_map"][tensor] = name;
      total += bytes_of(value, dtype);
    }
  }
  index["metadata"]["total_size"] = total;
  write_file_atomically(folder / "model.safetensors.index.json", index.dump(2) + "\n");
}

// Both spellings where the source has both; the older one, which every reader knows, where it has none.
nlohmann::ordered_json config_with_dtype(nlohmann::ordered_json config, at::ScalarType dtype) {
  const char* name = dtype == at::kBFloat16 ? "bfloat16" : dtype == at::kHalf ? "float16" : "float32";
  if (config.contains("dtype")) config["dtype"] = name;
  if (config.contains("torch_dtype") || !config.contains("dtype")) config["torch_dtype"] = name;
  return config;
}

}  // namespace

void merge_adapter(BaseModel& model, const PeftAdapter& adapter) {
  const double usual = adapter_scale(adapter.spec.alpha, adapter.spec.rank, adapter.spec.rslora);
  const ModuleRanks ranks = module_ranks("", adapter.spec, model.options);
  at::Tensor own;  // the stacked tensor that was copied last: others may share the storage of what was read
  for (std::int64_t layer = 0; layer < model.options.layers; ++layer) {
    auto& block = model.weights.blocks[static_cast<std::size_t>(layer)];
    for (const Projection projection : adapter.spec.targets.members()) {
      const auto& [a_RD, b_OR, m_O] = adapter.tensors.at(layer, projection);
      const double scale = ranks.empty() ? usual : ranks[static_cast<std::size_t>(layer)][projection].scale;
      at::Tensor& stacked = std::get<0>(stacked_tensors(block, projection));
      if (!stacked.is_same(own)) stacked = own = stacked.cpu().clone();
      const auto [first, count] = stacked_rows(model.options, projection);
      const at::Tensor weight = stacked.narrow(0, first, count);
      at::Tensor merged = weight.to(at::kFloat) + at::mm(b_OR, a_RD) * scale;
      if (m_O.defined()) merged.mul_((m_O / at::linalg_vector_norm(merged, 2, at::IntArrayRef{1})).unsqueeze(1));
      weight.copy_(merged);
      if (!all_finite(weight))
        throw failed(projection_path(model.options, layer, projection), "the merged weight is not finite");
    }
  }
  if (adapter.spec.saved.embed_tokens) model.weights.embed_VD = adapter.tensors.embed_VD;
  if (adapter.spec.saved.lm_head) model.weights.head_VD = adapter.tensors.head_VD;
}

void write_checkpoint(const BaseModel& model, at::ScalarType dtype, const fs::path& source, const fs::path& out,
                      std::int64_t shard_bytes) {
  BaseModel alone = model;  // shares its tensors
  alone.options.root = DecoderOptions().root;
  const fs::path target = fs::absolute(out).lexically_normal();
  const fs::path place = target.has_filename() ? target : target.parent_path();
  const fs::path temporary = place.string() + ".tmp" + std::to_string(::getpid());
  try {
    remove_tree(temporary);
    make_folders(temporary);
    write_weights(named_tensors(alone), dtype, temporary, shard_bytes);
    write_file_atomically(temporary / "config.json", config_with_dtype(model.config, dtype).dump(2) + "\n");
    for (const std::string_view file : kCarriedFiles) {
      if (fs::exists(source / file)) write_file_atomically(temporary / file, read_file(source / file));
    }
    if (fs::is_symlink(place)) remove_file(place);
    rename_path(temporary, place);  // replaces an empty folder
  } catch (...) {
    try {
      remove_tree(temporary);
    } catch (const Error&) {  // the first error is the one to tell
    }
    throw;
  }
}

}  // namespace finetune
