#include "study/written_file.h"

#include "core/content_hash.h"
#include "core/error.h"
#include "core/files.h"

namespace finetune {

std::string read_written(const std::filesystem::path& path, const WrittenFile& written) {
  constexpr const char* kOther = "is damaged, or of another run: it is not what was saved";
  std::error_code error;
  const std::uintmax_t bytes = std::filesystem::file_size(path, error);  // before anything of its size is made
  if (!error && bytes != written.bytes) throw bad_input(path.string(), kOther);
  std::string content = read_file(path, written.bytes);
  if (content_hash(content) != written.hash) throw bad_input(path.string(), kOther);
  return content;
}

}  // namespace finetune
