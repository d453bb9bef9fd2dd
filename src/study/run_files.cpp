#include "study/run_files.h"

#include <utility>

#include "core/error.h"
#include "core/folders.h"

namespace finetune {

namespace fs = std::filesystem;

RunFiles::RunFiles(fs::path run, OnDiskFault on_fault) : run_(std::move(run)), on_fault_(std::move(on_fault)) {}

AppendFile& RunFiles::create(const std::string& name) {
  const fs::path path = run_ / name;
  make_folders(path.parent_path(), on_fault_);
  auto& file = open_[name] = std::make_unique<AppendFile>(path, on_fault_);
  return *file;
}

// All are looked at before the first is cut.
void RunFiles::reopen(const FileSizes& sizes) {
  for (const auto& [name, size] : sizes) {
    const fs::path path = fs::path(name).lexically_normal();
    if (path.is_absolute() || path.empty() || *path.begin() == "..")
      throw bad_input((run_ / name).string(), "lies outside the run's folder");
    std::error_code error;
    const std::uintmax_t there = fs::file_size(run_ / path, error);
    if (error || there < size) throw bad_input((run_ / path).string(), "is gone, or shorter than what was saved of it");
  }
  for (const auto& [name, size] : sizes)
    open_[name] = std::make_unique<AppendFile>(run_ / fs::path(name).lexically_normal(), size, on_fault_);
}

AppendFile* RunFiles::find(const std::string& name) {
  const auto found = open_.find(name);
  return found == open_.end() ? nullptr : found->second.get();
}

void RunFiles::close(const std::string& name) {
  const auto found = open_.find(name);
  if (found == open_.end()) return;
  found->second->flush();
  open_.erase(found);
  taken_.erase(name);
  closed_.insert(name);
}

void RunFiles::flush() {
  for (auto& [name, file] : open_) file->flush();
}

FileSizes RunFiles::sizes() const {
  FileSizes sizes;
  for (const auto& [name, file] : open_) sizes[name] = file->size();
  return sizes;
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
