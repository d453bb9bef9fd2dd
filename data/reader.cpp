#include "data/reader.h"

#include <algorithm>
#include <cctype>
#include <filesystem>

#include "core/error.h"
#include "core/files.h"
#include "data/readers/readers.h"

namespace finetune {
namespace {

constexpr std::uint64_t kLargestFile = std::uint64_t{16} << 30;

// The text without a byte order mark; one that says UTF-16 or UTF-32 is refused by name.
std::string read_text(const std::string& path) {
  std::string content = read_file(path, kLargestFile);
  if (content.starts_with("\xFF\xFE") || content.starts_with("\xFE\xFF"))
    throw bad_input(path, "is UTF-16 (by its byte order mark); save it as UTF-8");
  if (content.starts_with("\xEF\xBB\xBF")) content.erase(0, 3);
  return content;
}

}  // namespace

void read_records(const std::string& path, const std::string& separator, const RecordSink& sink) {
  std::string ending = std::filesystem::path(path).extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(), [](unsigned char c) { return std::tolower(c); });
  if (ending == ".jsonl" || ending == ".json") return read_json(path, read_text(path), sink);
  if (ending == ".csv") return read_csv(path, read_text(path), sink);
  if (ending == ".tsv") return read_tsv(path, read_text(path), sink);
  if (ending == ".txt") return read_txt(path, read_text(path), separator, sink);
  if (ending == ".parquet") return read_parquet(path, sink);
  throw bad_input(path, "has no known ending; .jsonl, .json, .csv, .tsv, .txt and .parquet are read");
}

}  // namespace finetune
