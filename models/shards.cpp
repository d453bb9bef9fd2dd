#include "models/shards.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>

#include "core/error.h"
#include "core/files.h"
#include "core/strict_json.h"

namespace finetune {
namespace {

constexpr std::uint64_t kLargestIndex = 256 << 20;
constexpr const char *kSingle = "model.safetensors", *kIndex = "model.safetensors.index.json",
                     *kPickle = "pytorch_model.bin";

void add_file(Shards& shards, const std::filesystem::path& path) {
  shards.files.push_back(std::make_unique<SafetensorsFile>(path));
  const SafetensorsFile& file = *shards.files.back();
  for (const auto& entry : file.header().tensors) {
    if (!shards.of_tensor.emplace(entry.name, StoredTensor{&file, &entry}).second) {
      throw bad_input(path.string(), "tensor " + entry.name + " is in another shard too");
    }
  }
}

Shards open_sharded(const std::filesystem::path& folder, const std::string& index_path) {
  const auto index = parse_strict_json(index_path, read_file(index_path, kLargestIndex));
  if (!index.is_object() || !index.contains("weight_map") || !index["weight_map"].is_object() ||
      index["weight_map"].empty()) {
    throw bad_input(index_path, "has no weight_map");
  }
  std::set<std::string> names;
  for (const auto& [tensor, file] : index["weight_map"].items()) {
    const std::string name = file.is_string() ? file.get<std::string>() : "";
    // A plain name only: an index may not point out of its folder.
    if (name.empty() || name.find('/') != std::string::npos || name.find('\\') != std::string::npos ||
        name.starts_with("..") || name.find('\0') != std::string::npos) {
      throw bad_input(index_path, "tensor " + tensor + ": " + file.dump().substr(0, 80) + " is not a plain file name");
    }
    names.insert(name);
  }
  Shards shards;
  for (const auto& name : names) add_file(shards, folder / name);
  for (const auto& [tensor, file] : index["weight_map"].items()) {
    const auto found = shards.of_tensor.find(tensor);
    const std::string expected = (folder / file.get<std::string>()).string();
    if (found == shards.of_tensor.end() || found->second.file->path() != expected) {
      throw bad_input(expected, "tensor " + tensor + " is missing though the index names this file");
    }
  }
  return shards;
}

}  // namespace

Shards open_shards(const std::filesystem::path& folder) {
  const auto single = folder / kSingle, index = folder / kIndex;
  if (std::filesystem::exists(single)) {
    Shards shards;
    add_file(shards, single);
    return shards;
  }
  if (std::filesystem::exists(index)) return open_sharded(folder, index.string());
  if (std::filesystem::exists(folder / kPickle)) {
    throw bad_input(
        (folder / kPickle).string(),
        "is a pickle, which is not read; convert it: python -c \"from transformers import AutoModelForCausalLM "
        "as M; M.from_pretrained('DIR').save_pretrained('OUT')\"");
  }
  throw bad_input(folder.string(), "has neither model.safetensors nor model.safetensors.index.json");
}

bool has_weights(const std::filesystem::path& folder) {
  return std::ranges::any_of(std::array{kSingle, kIndex, kPickle},
                             [&](const char* name) { return std::filesystem::exists(folder / name); });
}

std::int64_t take_text_half(Shards& shards, const std::string& root) {
  std::map<std::string, StoredTensor> text;
  std::int64_t left_out = 0;
  for (const auto& [name, tensor] : shards.of_tensor) {
    const std::string bare = name.starts_with("model.") ? name.substr(6) : name;
    if (bare.starts_with("vision_tower.") || bare.starts_with("multi_modal_projector.")) {
      ++left_out;
      continue;
    }
    const std::string old_root = "language_model.model", old_head = "language_model.lm_head";
    std::string now = name;
    if (name.starts_with(old_root + ".")) now = root + name.substr(old_root.size());
    if (name.starts_with(old_head + ".")) now = "lm_head" + name.substr(old_head.size());
    if (!text.emplace(now, tensor).second)
      throw bad_input(tensor.file->path(), "tensor " + name + " is there as " + now + " too");
  }
  shards.of_tensor = std::move(text);
  return left_out;
}

}  // namespace finetune
