// Any bytes as a data file. The first byte chooses the format; records are UTF-8 objects with growing line numbers.
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "core/error.h"
#include "core/files.h"
#include "data/reader.h"

namespace {

constexpr const char* kEndings[] = {".jsonl", ".csv", ".json", ".tsv", ".txt"};

// A file whose name has this ending: the reader tells formats by it.
std::string path_of(std::size_t which, const std::uint8_t* data, std::size_t size) {
  static const std::string kFolder =
      (std::filesystem::temp_directory_path() / ("finetune_fuzz_" + std::to_string(getpid()))).string();
  const std::string path = kFolder + kEndings[which];
  FILE* file = fopen(path.c_str(), "wb");
  if (file == nullptr || fwrite(data, 1, size, file) != size) std::abort();
  fclose(file);
  return path;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string path = path_of(data[0] % 5, data + 1, size - 1);
  std::int64_t last = 0;
  const auto in_order = [&](std::int64_t line) {
    if (line < last || line < 1) std::abort();
    last = line;
  };
  try {
    finetune::read_records(path, data[0] >= 128 ? "--" : "", {},
                           {[&](finetune::Record record) {
                              in_order(record.line);
                              if (!record.value.is_object()) std::abort();
                              record.value.dump();  // throws where a text is not UTF-8
                            },
                            [&](std::int64_t line, const std::string& reason) {
                              in_order(line);
                              if (reason.empty()) std::abort();
                            }});
  } catch (const finetune::Error&) {
  }
  unlink(path.c_str());
  return 0;
}
