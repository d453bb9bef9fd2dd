// A lock that one process holds at a time: a file of which nobody else can get hold. It dies with the process, however
// that ends; the file that a killed process leaves is taken over.
#pragma once

#include <filesystem>
#include <optional>

#include "core/disk_call.h"

namespace finetune {

/// Movable; the one that was moved from holds nothing. Any thread. A program that is started by this one does not
/// inherit it, a fork without exec does.
class FileLock {
 public:
  /// Creates the file and locks it; none when somebody has it, be it in this process. Throws Error (failed) naming the
  /// path where it cannot be created, or lies on a file system without locks. A link in its place is not followed.
  static std::optional<FileLock> try_lock(const std::filesystem::path& path);
  /// Removes the file and lets go.
  ~FileLock();
  FileLock(FileLock&&) noexcept = default;
  FileLock& operator=(FileLock&& other) noexcept;

  const std::filesystem::path& path() const { return path_; }

 private:
  FileLock(std::filesystem::path path, Descriptor descriptor);
  void release();

  std::filesystem::path path_;
  Descriptor descriptor_;
};

}  // namespace finetune
