// Files: nothing half-written is ever seen, and nothing read is trusted in size.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace finetune {

/// The whole file. Throws Error (bad_input) naming the path when it is missing, unreadable, not a regular file, or
/// larger than `limit` bytes.
std::string read_file(const std::filesystem::path& path, std::uint64_t limit = std::uint64_t{4} << 30);

/// A file that appears under its name only when it is complete: written beside it, fsynced, renamed by commit(). Gone
/// when destroyed before that. Throws Error (failed).
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  void write(std::string_view bytes);
  void commit();

 private:
  [[noreturn]] void fail(const char* verb);
  std::filesystem::path path_, temporary_;
  int descriptor_ = -1;
};

/// Writes to a temporary name beside `path`, fsyncs, renames, fsyncs the folder. Throws Error (failed).
void write_file_atomically(const std::filesystem::path& path, std::string_view content);

/// Throws Error (bad_input) unless `text` is valid UTF-8 (surrogates and overlong forms are invalid); names `where`.
void require_utf8(std::string_view where, std::string_view text);
bool is_utf8(std::string_view text);

}  // namespace finetune
