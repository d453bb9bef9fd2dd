// A file that lines or records are added to while a study runs: buffered, so that a round is few writes.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace finetune {

class AppendFile {
 public:
  /// Creates it, or empties what is there. Throws Error (failed) naming the path, as everything here does.
  explicit AppendFile(const std::filesystem::path& path);
  /// Writes what is left; whoever has to know whether that went well calls flush() before.
  ~AppendFile();
  AppendFile(const AppendFile&) = delete;
  AppendFile& operator=(const AppendFile&) = delete;
  void add(std::string_view bytes) { buffer_ += bytes; }
  void flush();

 private:
  std::filesystem::path path_;
  int descriptor_;
  std::string buffer_;
};

}  // namespace finetune
