// A file of a save as it was written, and as it is found again.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace finetune {

struct WrittenFile {
  std::string hash;  ///< core/content_hash.h
  std::uint64_t bytes = 0;
};

/// Its content. Throws Error (bad_input) naming the path for what is not there, or not what was written.
std::string read_written(const std::filesystem::path& path, const WrittenFile& written);

}  // namespace finetune
