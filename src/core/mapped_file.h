// A file as memory, which the system reads where it is touched.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string_view>

namespace finetune {

/// A whole regular file, read only; the file may lose its name, not its length, while this lives. Any thread.
class MappedFile {
 public:
  /// Throws Error (bad_input) naming the path.
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::string_view bytes() const { return bytes_; }
  /// Gives back the whole pages within a part of bytes(): they would count as this process's memory as long as the file
  /// is mapped. Read again, they come from the file.
  static void drop_pages(std::string_view part);

 private:
  std::string_view bytes_;  // the mapping; empty: none
};

}  // namespace finetune
