// Files: nothing half-written is ever seen, and nothing read is trusted in size.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "core/disk_call.h"
#include "core/disk_fault.h"

namespace finetune {

/// The whole file. Throws Error (bad_input) naming the path when it is missing, unreadable, not a regular file, or
/// larger than `limit` bytes.
std::string read_file(const std::filesystem::path& path, std::uint64_t limit = std::uint64_t{4} << 30);

/// A file that appears under its name only when it is complete: written beside it, fsynced, renamed by commit(), which
/// syncs its folder too. Gone when destroyed before that. A link under its name is replaced, not followed. Throws Error
/// (failed) naming `path`, after `on_fault` was asked (core/disk_fault.h), but a failed fsync is not tried again: the
/// system forgets what it could not write. write_file_atomically begins again then. Used by one thread.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path, OnDiskFault on_fault = {});
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  void write(std::string_view bytes);
  void commit();
  /// Where it is until commit(), to be read.
  const std::filesystem::path& temporary() const { return temporary_; }

 private:
  friend void write_file_atomically(const std::filesystem::path&, const std::function<void(AtomicFile&)>&,
                                    const OnDiskFault&);
  int sync();  // 0 or errno
  void publish();

  std::filesystem::path path_, temporary_;
  OnDiskFault on_fault_;
  Descriptor descriptor_;
};

/// An AtomicFile that `fill` writes, from the beginning once more when an fsync failed and `on_fault` says so.
void write_file_atomically(const std::filesystem::path& path, const std::function<void(AtomicFile&)>& fill,
                           const OnDiskFault& on_fault = {});
void write_file_atomically(const std::filesystem::path& path, std::string_view content,
                           const OnDiskFault& on_fault = {});

/// Removes what AtomicFiles of a process that was killed left below a folder that nobody writes in at present.
void remove_unfinished_files(const std::filesystem::path& folder, const OnDiskFault& on_fault = {});

/// Throws Error (bad_input) unless `text` is valid UTF-8 (surrogates and overlong forms are invalid); names `where`.
void require_utf8(std::string_view where, std::string_view text);
bool is_utf8(std::string_view text);

}  // namespace finetune
