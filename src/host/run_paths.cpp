#include "host/run_paths.h"

#include <unistd.h>

#include <filesystem>

#include "core/error.h"

namespace finetune {
namespace {

namespace fs = std::filesystem;

void check_folder(const std::string& key, const std::string& path) {
  if (!fs::exists(path)) throw bad_input(path, key + " does not exist");
  if (!fs::is_directory(path)) throw bad_input(path, key + " is not a folder");
}

void check_out(const std::string& out, bool overwrite) {
  if (fs::exists(out)) {
    if (!fs::is_directory(out)) throw bad_input(out, "--out exists and is not a folder");
    if (!fs::is_empty(out) && !overwrite)
      throw bad_input(out, "--out is not empty; choose another folder, or add --overwrite");
  }
  fs::path ancestor = fs::absolute(out).lexically_normal();
  while (!fs::exists(ancestor) && ancestor.has_parent_path() && ancestor != ancestor.parent_path())
    ancestor = ancestor.parent_path();
  if (!fs::is_directory(ancestor) || ::access(ancestor.c_str(), W_OK) != 0)
    throw bad_input(out, "--out cannot be created: " + ancestor.string() + " is not a writable folder");
}

}  // namespace

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
