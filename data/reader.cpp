#include "data/reader.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <memory>
#include <utility>
#include <variant>
#include <vector>

#include "core/error.h"
#include "core/files.h"
#include "data/readers/readers.h"

namespace finetune {
namespace {

constexpr std::uint64_t kLargestFile = std::uint64_t{16} << 30;
constexpr std::size_t kRecordsTogether = 1024;

// The text without a byte order mark.
std::string read_text(const std::string& path) {
  std::string content = read_file(path, kLargestFile);
  content.erase(0, byte_order_mark(path, content));
  return content;
}

// Records of a reader that goes through its file from beginning to end, in parts.
class Gatherer {
 public:
  explicit Gatherer(const PartSink& take) : take_(take) {}

  void gather(const std::function<void(const RecordSink&)>& read) {
    try {
      read({[&](Record record) { put(std::move(record)); },
            [&](std::int64_t line, const std::string& reason) { put(std::pair(line, reason)); }});
    } catch (...) {
      hand_over();
      throw;
    }
    hand_over();
  }

 private:
  using Entry = std::variant<Record, std::pair<std::int64_t, std::string>>;

  void put(Entry entry) {
    entries_.push_back(std::move(entry));
    if (entries_.size() == kRecordsTogether) hand_over();
  }

  void hand_over() {
    if (entries_.empty()) return;
    const auto entries = std::make_shared<const std::vector<Entry>>(std::exchange(entries_, {}));
    take_({.read = [entries](const RecordSink& sink) {
      for (const Entry& entry : *entries) {
        if (const auto* record = std::get_if<Record>(&entry))
          sink.record(*record);
        else
          sink.reject(std::get<1>(entry).first, std::get<1>(entry).second);
      }
    }});
  }

  const PartSink& take_;
  std::vector<Entry> entries_;
};

}  // namespace

std::size_t byte_order_mark(const std::string& path, std::string_view text) {
  if (text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF"))
    throw bad_input(path, "is UTF-16 (by its byte order mark); save it as UTF-8");
  return text.starts_with("\xEF\xBB\xBF") ? 3 : 0;
}

void read_parts(const std::string& path, const std::string& separator, const MemoryFiles& memory,
                const PartSink& take) {
  std::string ending = std::filesystem::path(path).extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(), [](unsigned char c) { return std::tolower(c); });
  const auto gather = [&](const auto& read) { Gatherer(take).gather(read); };
  if (ending == ".jsonl" || ending == ".json") {
    const auto text = is_memory_file(path) ? text_of_memory_file(memory, path) : nullptr;
    if (read_json_lines(path, text, take)) return;
    return gather([&](const RecordSink& sink) { read_json(path, text ? *text : read_text(path), sink); });
  }
  if (ending == ".csv") return read_csv(path, take);
  if (ending == ".tsv") return read_tsv(path, take);
  if (ending == ".txt") return separator.empty() ? read_text_lines(path, take) : read_txt(path, separator, take);
  if (ending == ".parquet") return gather([&](const RecordSink& sink) { read_parquet(path, sink); });
  throw bad_input(path, "has no known ending; .jsonl, .json, .csv, .tsv, .txt and .parquet are read");
}

void read_records(const std::string& path, const std::string& separator, const MemoryFiles& memory,
                  const RecordSink& sink) {
  read_parts(path, separator, memory, [&](const FilePart& part) { part.read(sink); });
}

}  // namespace finetune
