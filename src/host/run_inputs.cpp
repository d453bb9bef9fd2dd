#include "host/run_inputs.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "core/content_hash.h"
#include "core/error.h"
#include "data/data_files.h"

namespace finetune {
namespace {

namespace fs = std::filesystem;

RunInput describe(const fs::path& path) {
  struct stat info = {};
  if (::stat(path.c_str(), &info) != 0) throw bad_input(path.string(), std::string("is gone: ") + std::strerror(errno));
  return {.path = path,
          .bytes = static_cast<std::uint64_t>(info.st_size),
          .modified = std::int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec};
}

RunInput describe(const fs::path& path, const MemoryFiles& memory) {
  if (is_memory_file(path.native())) {
    const std::string& text = *text_of_memory_file(memory, path.native());
    return {.path = path, .bytes = text.size(), .hash = content_hash(text)};
  }
  return describe(path);
}

// What transformers keeps beside weights: configuration, tokenizer, template.
void add_folder(const fs::path& folder, std::vector<fs::path>& files) {
  constexpr const char* kRead[] = {".json", ".safetensors", ".model", ".txt", ".jinja"};
  for (const auto& entry : fs::directory_iterator(folder)) {
    const bool read = std::ranges::count(kRead, entry.path().extension().string()) > 0;
    if (read && entry.is_regular_file()) files.push_back(entry.path());
  }
}

void add_data(const std::vector<std::string>& paths, Split split, std::vector<fs::path>& files) {
  for (const std::string& path : paths) {
    for (const std::string& file : data_files(path, split).files) files.emplace_back(file);
  }
}

bool same(const RunInput& a, const RunInput& b) {
  return a.bytes == b.bytes && a.modified == b.modified;
}

}  // namespace

std::vector<RunInput> run_inputs(const RunConfig& config) {
  std::vector<fs::path> files;
  add_folder(config.model.path, files);
  if (config.model.adapter) add_folder(*config.model.adapter, files);
  add_data(paths_of(config.data.train), Split::train, files);
  add_data(paths_of(config.data.valid), Split::valid, files);
  add_data(config.data.test, Split::test, files);
  if (config.data.chat_template.ends_with(".jinja")) files.emplace_back(config.data.chat_template);
  std::ranges::sort(files);
  files.erase(std::unique(files.begin(), files.end()), files.end());
  std::vector<RunInput> inputs;
  for (const fs::path& file : files) inputs.push_back(describe(file, config.data.memory));
  return inputs;
}

void hash_inputs(std::vector<RunInput>& inputs) {
  for (RunInput& input : inputs) {
    if (is_memory_file(input.path.native())) continue;
    const std::string hash = file_hash(input.path);
    input.hash = same(describe(input.path), input) ? hash : "";
  }
}

std::optional<std::string> changed_on_disk(const std::vector<RunInput>& inputs) {
  for (const RunInput& input : inputs) {
    if (is_memory_file(input.path.native())) continue;
    struct stat info = {};
    if (::stat(input.path.c_str(), &info) != 0) return input.path.string() + " has gone (" + std::strerror(errno) + ")";
    if (!same(describe(input.path), input)) return input.path.string() + " has changed";
  }
  return std::nullopt;
}

std::optional<std::string> changed_since(const std::vector<RunInput>& begun, const std::vector<RunInput>& now) {
  const auto in = [](const std::vector<RunInput>& list, const fs::path& path) {
    return std::ranges::find(list, path, &RunInput::path);
  };
  for (const RunInput& input : now) {
    if (in(begun, input.path) == begun.end()) return input.path.string() + " was not there when the run began";
  }
  for (const RunInput& input : begun) {
    const auto found = in(now, input.path);
    if (found == now.end()) return input.path.string() + " is gone";
    if (found->bytes != input.bytes)
      return input.path.string() + " has " + std::to_string(found->bytes) + " bytes, and had " +
             std::to_string(input.bytes) + " when the run began";
    const bool changed = input.hash.empty() ? found->modified != input.modified : found->hash != input.hash;
    if (changed) return input.path.string() + " has other content than when the run began";
  }
  return std::nullopt;
}

nlohmann::ordered_json to_json(const std::vector<RunInput>& inputs) {
  auto json = nlohmann::ordered_json::array();
  for (const RunInput& input : inputs)
    json.push_back(
        {{"path", input.path.string()}, {"bytes", input.bytes}, {"modified", input.modified}, {"hash", input.hash}});
  return json;
}

std::vector<RunInput> inputs_from_json(const nlohmann::ordered_json& json) {
  try {
    std::vector<RunInput> inputs;
    for (const auto& entry : json) {
      RunInput& input = inputs.emplace_back();
      input.path = entry.at("path").get<std::string>();
      input.bytes = entry.at("bytes").get<std::uint64_t>();
      input.modified = entry.at("modified").get<std::int64_t>();
      input.hash = entry.at("hash").get<std::string>();
    }
    return inputs;
  } catch (const nlohmann::json::exception&) {
    throw bad_input("study.db", "ft_run: inputs is damaged");
  }
}

}  // namespace finetune
