#include "data/reader.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <vector>

#include "core/error.h"
#include "core/files.h"
#include "core/strict_json.h"

namespace finetune {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kDeepest = 32;

// Calls work(line number, text without its end) for each line.
template <typename Work>
void for_each_line(const std::string& content, const Work& work) {
  std::int64_t number = 1;
  for (std::size_t begin = 0; begin < content.size(); ++number) {
    std::size_t end = content.find('\n', begin);
    if (end == std::string::npos) end = content.size();
    std::string_view line(content.data() + begin, end - begin);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    work(number, line);
    begin = end + 1;
  }
}

bool is_blank(std::string_view line) {
  return line.find_first_not_of(" \t\r\v\f") == std::string_view::npos;
}

// Why a text is no JSON object, or the object.
std::optional<Json> parse_object(std::string_view text, std::string& reason) {
  try {
    Json json = parse_strict_json("", text, kDeepest);
    if (json.is_object()) return json;
    reason = "is not a JSON object";
  } catch (const Error& error) {
    reason = error.what();
  }
  return std::nullopt;
}

void read_jsonl(const std::string& content, const RecordSink& sink) {
  for_each_line(content, [&](std::int64_t number, std::string_view line) {
    if (is_blank(line)) return;
    std::string reason;
    if (auto json = parse_object(line, reason))
      sink.record({std::move(*json), number});
    else
      sink.reject(number, reason);
  });
}

void read_json(const std::string& path, const std::string& content, const RecordSink& sink) {
  const Json json = parse_strict_json(path, content, kDeepest);
  if (!json.is_array()) throw bad_input(path, "is not a list of records; one object per line is called .jsonl");
  std::int64_t number = 1;
  for (const auto& value : json) {
    if (value.is_object())
      sink.record({value, number});
    else
      sink.reject(number, "is not a JSON object");
    ++number;
  }
}

void put_row(const std::vector<std::string>& header, std::vector<std::string> cells, std::int64_t line,
             const RecordSink& sink) {
  if (cells.size() != header.size()) {
    return sink.reject(
        line, "has " + std::to_string(cells.size()) + " columns, the header has " + std::to_string(header.size()));
  }
  Json row = Json::object();
  for (std::size_t i = 0; i < cells.size(); ++i) {
    if (!is_utf8(cells[i])) return sink.reject(line, "is not valid UTF-8");
    row[header[i]] = std::move(cells[i]);
  }
  sink.record({std::move(row), line});
}

void check_header(const std::string& path, const std::vector<std::string>& header) {
  for (std::size_t i = 0; i < header.size(); ++i) {
    if (!is_utf8(header[i])) throw bad_input(path + ":1", "is not valid UTF-8");
    if (header[i].empty() || std::count(header.begin(), header.end(), header[i]) > 1) {
      throw bad_input(path + ":1",
                      "the header names column \"" + header[i] + "\" twice or not at all; a header line is needed");
    }
  }
}

// Tab-separated: no quoting. The last column takes the rest of the line when there are more tabs than columns.
void read_tsv(const std::string& path, const std::string& content, const RecordSink& sink) {
  std::vector<std::string> header;
  for_each_line(content, [&](std::int64_t number, std::string_view line) {
    if (is_blank(line)) return;
    std::vector<std::string> cells;
    for (;;) {
      const std::size_t tab =
          !header.empty() && cells.size() + 1 == header.size() ? std::string_view::npos : line.find('\t');
      cells.emplace_back(line.substr(0, tab));
      if (tab == std::string_view::npos) break;
      line.remove_prefix(tab + 1);
    }
    if (!header.empty()) return put_row(header, std::move(cells), number, sink);
    header = std::move(cells);
    check_header(path, header);
  });
}

// RFC 4180: quoted cells may hold commas, doubled quotes and line ends.
void read_csv(const std::string& path, const std::string& content, const RecordSink& sink) {
  std::vector<std::string> header, cells;
  std::string cell;
  std::int64_t line = 1, row_line = 1;
  bool quoted = false, row_begun = false;
  const auto end_row = [&] {
    cells.push_back(std::move(cell));
    cell.clear();
    if (cells.size() > 1 || !is_blank(cells[0])) {
      if (header.empty()) {
        header = cells;
        check_header(path, header);
      } else {
        put_row(header, cells, row_line, sink);
      }
    }
    cells.clear();
    row_begun = false;
  };
  for (std::size_t i = 0; i < content.size(); ++i) {
    const char c = content[i];
    if (!row_begun) row_line = line;
    row_begun = true;
    if (c == '\n') ++line;
    if (quoted) {
      if (c != '"')
        cell += c;
      else if (i + 1 < content.size() && content[i + 1] == '"')
        cell += content[i++];
      else
        quoted = false;
    } else if (c == '"' && cell.empty()) {
      quoted = true;
    } else if (c == ',') {
      cells.push_back(std::move(cell));
      cell.clear();
    } else if (c == '\n') {
      if (!cell.empty() && cell.back() == '\r') cell.pop_back();
      end_row();
    } else {
      cell += c;
    }
  }
  if (quoted) return sink.reject(row_line, "a quoted cell is never closed");
  if (row_begun) end_row();
}

void read_txt(const std::string& path, const std::string& content, const std::string& separator,
              const RecordSink& sink) {
  if (separator.empty()) {
    for_each_line(content, [&](std::int64_t number, std::string_view line) {
      if (is_blank(line)) return;
      if (is_utf8(line))
        sink.record({Json{{"text", std::string(line)}}, number});
      else
        sink.reject(number, "is not valid UTF-8");
    });
    return;
  }
  require_utf8(path, content);
  std::int64_t line = 1;
  for (std::size_t begin = 0; begin <= content.size();) {
    std::size_t end = content.find(separator, begin);
    if (end == std::string::npos) end = content.size();
    std::string_view part(content.data() + begin, end - begin);
    const std::int64_t first =
        line +
        std::count(part.begin(),
                   part.begin() + static_cast<std::ptrdiff_t>(std::min(part.find_first_not_of("\r\n"), part.size())),
                   '\n');
    line += std::count(content.begin() + static_cast<std::ptrdiff_t>(begin),
                       content.begin() + static_cast<std::ptrdiff_t>(std::min(end + separator.size(), content.size())),
                       '\n');
    while (!part.empty() && (part.front() == '\n' || part.front() == '\r')) part.remove_prefix(1);
    while (!part.empty() && (part.back() == '\n' || part.back() == '\r')) part.remove_suffix(1);
    if (!is_blank(part)) sink.record({Json{{"text", std::string(part)}}, first});
    begin = end + separator.size();
  }
}

}  // namespace

void read_records(const std::string& path, const std::string& separator, const RecordSink& sink) {
  const std::string ending = std::filesystem::path(path).extension().string();
  if (ending == ".parquet") {
    throw bad_input(path, "Parquet is not read; convert it: python -c \"import pandas; pandas.read_parquet('" + path +
                              "').to_json('data.jsonl', orient='records', lines=True)\"");
  }
  const std::vector<std::string> known{".jsonl", ".json", ".csv", ".tsv", ".txt"};
  if (std::find(known.begin(), known.end(), ending) == known.end())
    throw bad_input(path, "has no known ending; .jsonl, .json, .csv, .tsv and .txt are read");
  std::string content = read_file(path, std::uint64_t{16} << 30);
  if (content.starts_with("\xEF\xBB\xBF")) content.erase(0, 3);  // byte order mark
  if (ending == ".jsonl")
    read_jsonl(content, sink);
  else if (ending == ".json")
    read_json(path, content, sink);
  else if (ending == ".csv")
    read_csv(path, content, sink);
  else if (ending == ".tsv")
    read_tsv(path, content, sink);
  else
    read_txt(path, content, separator, sink);
}

}  // namespace finetune
