#include "host/run_paths.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <string_view>
#include <thread>
#include <vector>

#include "core/database_url.h"
#include "core/error.h"
#include "core/folders.h"
#include "data/data_files.h"
#include "models/carried_files.h"
#include "study/past_study.h"
#include "study/save_rows.h"
#include "study/saves.h"

namespace finetune {
namespace {

namespace fs = std::filesystem;

// What is there; an Error for a path that cannot even be asked about (a name that is too long, a folder that is
// closed).
fs::file_status status_of(const std::string& key, const fs::path& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (status.type() == fs::file_type::none) throw bad_input(path.string(), key + ": " + error.message());
  return status;
}

void check_folder(const std::string& key, const std::string& path) {
  const fs::file_status status = status_of(key, path);
  if (!fs::exists(status)) throw bad_input(path, key + " does not exist");
  if (!fs::is_directory(status)) throw bad_input(path, key + " is not a folder");
}

void check_file(const std::string& key, const std::string& path) {
  const fs::file_status status = status_of(key, path);
  if (!fs::exists(status)) throw bad_input(path, "does not exist");
  if (!fs::is_regular_file(status)) throw bad_input(path, "is not a file");
}

// A file, a folder with files of this split, or what the program that embeds this one holds.
void check_data(const RunConfig& config, const std::string& key, const std::string& path, Split split) {
  if (is_memory_file(path)) {
    text_of_memory_file(config.data.memory, path);
    return;
  }
  if (!fs::is_directory(status_of(key, path))) return check_file(key, path);
  data_files(path, split);
}

// Tries it: permissions alone do not tell of read-only and full disks, nor of what the superuser may.
void try_to_write(const std::string& key, const std::string& path, const fs::path& folder) {
  const bool is_folder = fs::is_directory(status_of(key, folder));
  const auto why = is_folder ? why_not_writable(folder) : "it is not a folder";
  if (why) throw bad_input(path, key + " cannot be written: " + folder.string() + ": " + *why);
}

constexpr const char* kLock = "run.lock";

// What the verbs write into --out: runs, comparisons, the demo's folder, exported checkpoints.
constexpr std::string_view kWritten[] = {"run.yaml",
                                         "study.token",
                                         "workers",
                                         "best.yaml",
                                         "best",
                                         "adapter",
                                         "model",
                                         "trials",
                                         "metrics.jsonl",
                                         "report.json",
                                         "report.md",
                                         "report.html",
                                         "study.db",
                                         "study.db-wal",
                                         "study.db-shm",
                                         "tensorboard",
                                         "saves",
                                         kLock,
                                         "compare.md",
                                         "compare.json",
                                         "base",
                                         "pretrained",
                                         "study",
                                         "corpus.txt",
                                         "task_train.jsonl",
                                         "task_valid.jsonl",
                                         "config.json",
                                         "model.safetensors",
                                         "model.safetensors.index.json"};

bool is_written_here(const std::string& name) {
  const bool shard = name.starts_with("model-") && name.ends_with(".safetensors");
  // A write that was cut off (core/files.h), and a trial of whether one can write.
  const bool unfinished = name.find(".tmp") != std::string::npos || name.starts_with(kTriedName);
  return shard || unfinished || std::ranges::count(kWritten, name) > 0 || std::ranges::count(kCarriedFiles, name) > 0;
}

bool lies_in(const fs::path& path, const fs::path& folder) {
  return std::mismatch(folder.begin(), folder.end(), path.begin(), path.end()).first == folder.end();
}

// Those that are no addresses.
std::vector<fs::path> warm_start_files(const RunConfig& config) {
  std::vector<fs::path> files;
  for (const auto& entry : config.tune.warm_start) {
    if (!is_database_url(entry)) files.push_back(past_source(entry).file);
  }
  return files;
}

// Everything that a run reads, with the key that names it.
std::vector<std::pair<std::string, fs::path>> inputs_of(const RunConfig& config) {
  std::vector<std::pair<std::string, fs::path>> list{{"the working directory", fs::current_path()}};
  if (!config.model.path.empty()) list.emplace_back("--model", config.model.path);
  if (config.model.adapter) list.emplace_back("--adapter", *config.model.adapter);
  const auto add = [&](const std::string& key, const std::string& path) {
    if (!is_memory_file(path)) list.emplace_back(key, path);
  };
  for (const auto& source : config.data.train) add("data.train", source.path);
  for (const auto& source : config.data.valid) add("data.valid", source.path);
  for (const auto& file : config.data.test) add("data.test", file);
  for (const fs::path& file : warm_start_files(config)) list.emplace_back("tune.warm_start", file);
  if (config.data.chat_template.ends_with(".jinja")) list.emplace_back("data.template", config.data.chat_template);
  return list;
}

// Replacing a folder empties it: only what the program itself has written, and nothing that this run reads.
void check_replaced(const RunConfig& config, const fs::path& out) {
  if (fs::is_symlink(out))
    throw bad_input(out.string(), "--out is a link; --overwrite replaces only the folder itself");
  const fs::path folder = fs::canonical(out);
  for (const auto& [key, path] : inputs_of(config)) {
    if (lies_in(fs::weakly_canonical(path), folder))
      throw bad_input(out.string(), "--overwrite would delete " + key + " (" + path.string() +
                                        "), which lies in --out; choose another folder");
  }
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (!is_written_here(name))
      throw bad_input(out.string(), "--out holds " + name +
                                        ", which finetune_tune did not write; --overwrite replaces only its own runs");
  }
}

// Of a run that was cut off.
std::string way_on(const fs::path& out) {
  try {
    if (!fs::exists(out / "study.db")) return "";
    SaveRows rows(out, {}, Access::read);
    if (rows.facts().contains("complete")) return "";
    return rows.saves().empty() ? ": the run that lies there was cut off before its first save and can only begin again"
                                : ": a run that can go on lies there (finetune_tune resume " + out.string() + ")";
  } catch (const Error&) {  // whatever it is, it is none that goes on
    return "";
  }
}

// But for the lock of who writes there, who is found out about by trying to have it.
void require_empty(const std::string& out) {
  const auto is_lock = [](const fs::directory_entry& entry) { return entry.path().filename() == kLock; };
  if (!std::ranges::all_of(fs::directory_iterator(out), is_lock))
    throw bad_input(out, "--out is not empty" + way_on(out) + "; choose another folder, or add --overwrite");
}

void check_out(const RunConfig& config, bool overwrite) {
  const std::string& out = config.run.out;
  if (out.empty()) throw bad_input("", "--out is missing");
  const fs::file_status status = status_of("--out", out);
  if (fs::exists(status)) {
    if (!fs::is_directory(status)) throw bad_input(out, "--out exists and is not a folder");
    if (!overwrite) require_empty(out);
    if (fs::exists(fs::path(out) / kLock)) hold_folder(out);  // found out before anything is opened
    if (!fs::is_empty(out)) check_replaced(config, out);
  }
  fs::path ancestor = fs::absolute(out).lexically_normal();
  while (!fs::exists(status_of("--out", ancestor)) && ancestor != ancestor.parent_path())
    ancestor = ancestor.parent_path();
  try_to_write("--out", out, ancestor);
}

}  // namespace

void check_paths(const RunConfig& config, bool wants_out, bool overwrite) {
  if (!config.model.path.empty()) check_folder("--model", config.model.path);
  if (config.model.adapter) check_folder("--adapter", *config.model.adapter);
  for (const auto& source : config.data.train) check_data(config, "data.train", source.path, Split::train);
  for (const auto& source : config.data.valid) check_data(config, "data.valid", source.path, Split::valid);
  for (const auto& path : config.data.test) check_data(config, "data.test", path, Split::test);
  for (const fs::path& file : warm_start_files(config)) check_file("tune.warm_start", file);
  if (wants_out) check_out(config, overwrite);
}

void check_output_file(const std::string& key, const std::string& path) {
  if (fs::is_directory(status_of(key, path))) throw bad_input(path, key + " is a folder");
  try_to_write(key, path, fs::absolute(path).parent_path());
}

void check_output_folder(const std::string& key, const std::string& path) {
  try_to_write(key, path, path);
}

FileLock hold_folder(const std::string& out) {
  // A process that was killed holds it until its memory is given back, which takes a moment.
  constexpr std::chrono::milliseconds kPatience{2000}, kTry{100};
  for (auto waited = kTry; waited <= kPatience; waited += kTry) {
    if (auto lock = FileLock::try_lock(fs::path(out) / kLock)) return std::move(*lock);
    std::this_thread::sleep_for(kTry);
  }
  throw bad_input(out, "another process is writing there");
}

void clear_out(const std::string& out) {
  std::vector<fs::path> there;
  for (const auto& entry : fs::directory_iterator(out)) {
    if (entry.path().filename() != kLock) there.push_back(entry.path());
  }
  for (const fs::path& path : there) remove_tree(path);
}

FileLock make_out(const std::string& out, bool overwrite) {
  try {
    make_folders(out);
    FileLock lock = hold_folder(out);
    if (!overwrite) require_empty(out);  // another may have been there since the paths were checked
    clear_out(out);
    return lock;
  } catch (const fs::filesystem_error& error) {
    throw bad_input(out, std::string("--out cannot be made: ") + error.code().message());
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::bad_input) throw;
    throw bad_input(error.where(), "--out cannot be made: " + error.message());
  }
}

}  // namespace finetune
