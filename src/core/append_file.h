// A file that lines or records are added to while a study runs: buffered, so that a round is few writes, and gone on
// with by a later process.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "core/content_hash.h"
#include "core/disk_call.h"
#include "core/disk_fault.h"

namespace finetune {

/// Used by one thread at a time. Throws Error (failed) naming the path; a link at the end of the path is not followed.
/// After an Error, or what `on_fault` threw, it stands where it was, and what failed can be called again: nothing is
/// written twice or left out.
class AppendFile {
 public:
  /// Creates it, or empties what is there.
  explicit AppendFile(const std::filesystem::path& path, OnDiskFault on_fault = {});
  /// Goes on with a file that is there, cut to `size` bytes; one that is shorter is an Error.
  AppendFile(const std::filesystem::path& path, std::uint64_t size, OnDiskFault on_fault = {});
  /// Writes what is left and asks nobody; whoever has to know whether that went well calls flush() before.
  ~AppendFile();
  AppendFile(const AppendFile&) = delete;
  AppendFile& operator=(const AppendFile&) = delete;

  void add(std::string_view bytes) {
    kept_ += bytes;
    hash_.add(bytes);
  }
  /// Hands everything to the system: it survives the end of the process, but not a power cut.
  void flush();
  /// flush(), and it survives a power cut, its name included.
  void sync();
  /// With what is still buffered.
  std::uint64_t size() const { return synced_ + kept_.size(); }
  std::string hash() const { return hash_.text(); }
  const std::filesystem::path& path() const { return path_; }

 private:
  void write_kept();
  void make_durable();

  std::filesystem::path path_;
  OnDiskFault on_fault_;
  Descriptor descriptor_;
  std::uint64_t synced_ = 0;  // bytes that are on the disk
  std::string kept_;          // what follows them, of which the first written_ bytes are with the system
  std::size_t written_ = 0;
  ContentHash hash_;
  bool has_durable_name_ = false;
};

}  // namespace finetune
