#include "cli/prepare.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "config/config.h"
#include "config/node.h"
#include "core/error.h"
#include "core/files.h"

namespace finetune {
namespace {

namespace fs = std::filesystem;

const char* flag_of(const std::string& key) {
  if (key == "model.path") return "--model DIR";
  if (key == "data.train") return "--train FILE";
  if (key == "data.valid") return "--data FILE";
  return "--out DIR";
}

bool in_file(const ConfigNode& root, const std::string& key) {
  const auto dot = key.find('.');
  const ConfigNode* section = root.find(key.substr(0, dot));
  return section != nullptr && section->find(key.substr(dot + 1)) != nullptr;
}

void require_keys(const ConfigSources& sources, const std::vector<std::string>& required) {
  const ConfigNode root =
      sources.file.empty() ? ConfigNode{} : parse_config(sources.file, read_file(sources.file, 16 << 20));
  for (const auto& key : required) {
    const auto names = [&](const auto& entry) { return entry.first == key; };
    const bool given = std::any_of(sources.settings.begin(), sources.settings.end(), names) ||
                       std::any_of(sources.lists.begin(), sources.lists.end(), names) || in_file(root, key);
    if (!given) throw bad_input("", std::string(flag_of(key)) + " is missing (or " + key + " in --config)");
  }
}

void check_folder(const std::string& key, const std::string& path) {
  if (!fs::exists(path)) throw bad_input(path, key + " does not exist");
  if (!fs::is_directory(path)) throw bad_input(path, key + " is not a folder");
}

void check_out(const std::string& out, bool overwrite) {
  if (fs::exists(out)) {
    if (!fs::is_directory(out)) throw bad_input(out, "--out exists and is not a folder");
    if (!fs::is_empty(out) && !overwrite)
      throw bad_input(out, "--out is not empty; choose another folder, add --overwrite, or use 'finetune_tune resume'");
  }
  fs::path ancestor = fs::absolute(out).lexically_normal();
  while (!fs::exists(ancestor) && ancestor.has_parent_path() && ancestor != ancestor.parent_path())
    ancestor = ancestor.parent_path();
  if (!fs::is_directory(ancestor) || ::access(ancestor.c_str(), W_OK) != 0)
    throw bad_input(out, "--out cannot be created: " + ancestor.string() + " is not a writable folder");
}

}  // namespace

RunConfig prepare_config(const Arguments& arguments, const std::vector<std::string>& required, bool asktell) {
  require_keys(arguments.sources, required);
  RunConfig config = load_config(arguments.sources);
  if (!arguments.adapter.empty()) config.model.adapter = arguments.adapter;
  try {
    validate(config, asktell);
  } catch (const Error& error) {
    const std::string& file = arguments.sources.file;
    if (file.empty() || std::string(error.what()).starts_with(file)) throw;
    throw bad_input(file, error.what());
  }
  return config;
}

void check_paths(const RunConfig& config, bool wants_out, bool overwrite) {
  if (!config.model.path.empty()) check_folder("--model", config.model.path);
  if (config.model.adapter) check_folder("--adapter", *config.model.adapter);
  for (const auto* files : {&config.data.train, &config.data.valid}) {
    for (const auto& file : *files) {
      if (!fs::exists(file)) throw bad_input(file, "does not exist");
      if (!fs::is_regular_file(file)) throw bad_input(file, "is not a file");
    }
  }
  if (wants_out) check_out(config.run.out, overwrite);
}

void make_out(const std::string& out) {
  try {
    if (fs::exists(out)) {
      for (const auto& entry : fs::directory_iterator(out)) fs::remove_all(entry.path());
    }
    fs::create_directories(out);
  } catch (const fs::filesystem_error& error) {
    throw failed(out, std::string("cannot be prepared: ") + error.code().message());
  }
}

}  // namespace finetune
