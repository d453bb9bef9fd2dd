#include <algorithm>
#include <vector>

#include "core/error.h"
#include "core/files.h"
#include "data/readers/lines.h"
#include "data/readers/readers.h"

namespace finetune {
namespace {

using Json = nlohmann::ordered_json;
using Cells = std::vector<std::string>;

// The first row names the columns, the others are records.
class Table {
 public:
  Table(const std::string& path, const RecordSink& sink) : path_(path), sink_(sink) {}

  std::size_t columns() const { return header_.size(); }  // 0 before the header

  void add(Cells cells, std::int64_t line) {
    if (!header_.empty()) return put(std::move(cells), line);
    header_ = std::move(cells);
    check_header(path_ + ":" + std::to_string(line));
  }

 private:
  void put(Cells cells, std::int64_t line) {
    if (cells.size() != header_.size()) {
      return sink_.reject(
          line, "has " + std::to_string(cells.size()) + " columns, the header has " + std::to_string(header_.size()));
    }
    Json row = Json::object();
    for (std::size_t i = 0; i < cells.size(); ++i) {
      if (!is_utf8(cells[i])) return sink_.reject(line, "is not valid UTF-8");
      row[header_[i]] = std::move(cells[i]);
    }
    sink_.record({std::move(row), line});
  }

  void check_header(const std::string& where) const {
    for (const auto& name : header_) {
      if (!is_utf8(name)) throw bad_input(where, "is not valid UTF-8");
      if (name.empty() || std::count(header_.begin(), header_.end(), name) > 1) {
        throw bad_input(where, "the header names column \"" + name + "\" twice or not at all; a header line is needed");
      }
    }
  }

  const std::string& path_;
  const RecordSink& sink_;
  Cells header_;
};

}  // namespace

void read_tsv(const std::string& path, const std::string& content, const RecordSink& sink) {
  Table table(path, sink);
  for_each_line(content, [&](std::int64_t number, std::string_view line) {
    if (is_blank(line)) return;
    Cells cells;
    for (;;) {
      const bool last = cells.size() + 1 == table.columns();
      const std::size_t tab = last ? std::string_view::npos : line.find('\t');
      cells.emplace_back(line.substr(0, tab));
      if (tab == std::string_view::npos) break;
      line.remove_prefix(tab + 1);
    }
    table.add(std::move(cells), number);
  });
}

void read_csv(const std::string& path, const std::string& content, const RecordSink& sink) {
  Table table(path, sink);
  Cells cells;
  std::string cell;
  std::int64_t line = 1, row_line = 1;
  bool quoted = false, row_begun = false;
  const auto end_cell = [&] {
    cells.push_back(std::move(cell));
    cell.clear();
  };
  const auto end_row = [&] {
    end_cell();
    if (cells.size() > 1 || !is_blank(cells[0])) table.add(std::move(cells), row_line);
    cells.clear();
    row_begun = false;
  };
  for (std::size_t i = 0; i < content.size(); ++i) {
    const char c = content[i];
    const std::size_t line_end = line_end_at(content, i);
    if (!row_begun) row_line = line;
    row_begun = true;
    if (line_end > 0) ++line;
    if (quoted) {
      if (c == '"' && i + 1 < content.size() && content[i + 1] == '"')
        cell += content[i++];
      else if (c == '"')
        quoted = false;
      else
        cell.append(content, i, std::max<std::size_t>(line_end, 1));
    } else if (c == '"' && cell.empty()) {
      quoted = true;
    } else if (c == ',') {
      end_cell();
    } else if (line_end > 0) {
      end_row();
    } else {
      cell += c;
    }
    if (line_end > 0) i += line_end - 1;
  }
  if (quoted) return sink.reject(row_line, "a quoted cell is never closed");
  if (row_begun) end_row();
}

}  // namespace finetune
