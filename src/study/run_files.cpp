#include "study/run_files.h"

#include <utility>

#include "core/content_hash.h"
#include "core/error.h"
#include "core/folders.h"

namespace finetune {

namespace fs = std::filesystem;

namespace {

fs::path path_of(const fs::path& run, const std::string& name) {
  const fs::path path = fs::path(name).lexically_normal();
  if (path.is_absolute() || path.empty() || *path.begin() == "..")
    throw bad_input((run / name).string(), "lies outside the run's folder");
  return run / path;
}

// What lies beyond comes from rounds that are played again.
void require_covered(const fs::path& path, const CoveredFile& file) {
  std::error_code error;
  const std::uintmax_t there = fs::file_size(path, error);
  if (error || there < file.written.bytes)
    throw bad_input(path.string(), "is gone, or shorter than what was saved of it");
  if (hash_of_beginning(path, file.written.bytes).text() != file.written.hash)
    throw bad_input(path.string(), "is no longer what was saved of it");
}

}  // namespace

RunFiles::RunFiles(fs::path run, OnDiskFault on_fault) : run_(std::move(run)), on_fault_(std::move(on_fault)) {}

AppendFile& RunFiles::create(const std::string& name) {
  const fs::path path = run_ / name;
  make_folders(path.parent_path(), on_fault_);
  auto& file = open_[name] = std::make_unique<AppendFile>(path, on_fault_);
  return *file;
}

void RunFiles::reopen(const CoveredFiles& files) {
  for (const auto& [name, file] : files) require_covered(path_of(run_, name), file);
  for (const auto& [name, file] : files) {
    if (file.ended)
      ended_[name] = file.written;
    else
      open_[name] = std::make_unique<AppendFile>(path_of(run_, name), file.written.bytes, on_fault_);
  }
}

AppendFile* RunFiles::find(const std::string& name) {
  const auto found = open_.find(name);
  return found == open_.end() ? nullptr : found->second.get();
}

void RunFiles::close(const std::string& name) {
  const auto found = open_.find(name);
  if (found == open_.end()) return;
  found->second->flush();
  ended_[name] = {.hash = found->second->hash(), .bytes = found->second->size()};
  open_.erase(found);
  taken_.erase(name);
  closed_.insert(name);
}

void RunFiles::flush() {
  for (auto& [name, file] : open_) file->flush();
}

CoveredFiles RunFiles::covered() const {
  CoveredFiles files;
  for (const auto& [name, written] : ended_) files[name] = {.written = written, .ended = true};
  for (const auto& [name, file] : open_) files[name] = {.written = {.hash = file->hash(), .bytes = file->size()}};
  return files;
}

std::vector<fs::path> RunFiles::take_changed() {
  std::vector<fs::path> changed;
  for (const std::string& name : std::exchange(closed_, {})) changed.push_back(run_ / name);
  for (const auto& [name, file] : open_) {
    const auto [taken, is_new] = taken_.try_emplace(name, file->size());
    if (!is_new && taken->second == file->size()) continue;
    taken->second = file->size();
    changed.push_back(run_ / name);
  }
  return changed;
}

void sync_files(const std::vector<fs::path>& paths) {
  std::set<fs::path> folders;
  for (const fs::path& path : paths) {
    sync_file(path);
    folders.insert(path.parent_path());
  }
  for (const fs::path& folder : folders) sync_folder(folder);
}

}  // namespace finetune
