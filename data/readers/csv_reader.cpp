#include <algorithm>
#include <utility>

#include "data/readers/lines.h"
#include "data/readers/readers.h"
#include "data/readers/table.h"

namespace finetune {
namespace {

// Reads cells as a row has them, one character at a time.
class CsvRows {
 public:
  CsvRows(const FileText& part, const RowSink& sink) : text_(*part.text), sink_(sink), line_(part.first_line) {}

  void read() {
    while (i_ < text_.size()) take();
    if (quoted_) return sink_.reject(row_line_, "a quoted cell is never closed");
    if (row_begun_) end_row();
  }

 private:
  void take() {
    const char c = text_[i_];
    const std::size_t line_end = line_end_at(text_, i_);
    if (!std::exchange(row_begun_, true)) row_line_ = line_;
    if (line_end > 0) ++line_;
    if (quoted_)
      take_quoted(c, line_end);
    else if (c == '"' && cell_.empty())
      quoted_ = true;
    else if (c == ',')
      end_cell();
    else if (line_end > 0)
      end_row();
    else
      cell_ += c;
    i_ += std::max<std::size_t>(line_end, 1);
  }

  void take_quoted(char c, std::size_t line_end) {
    if (c == '"' && i_ + 1 < text_.size() && text_[i_ + 1] == '"')
      cell_ += text_[i_++];
    else if (c == '"')
      quoted_ = false;
    else
      cell_.append(text_, i_, std::max<std::size_t>(line_end, 1));
  }

  void end_cell() { cells_.push_back(std::exchange(cell_, {})); }

  void end_row() {
    end_cell();
    if (cells_.size() > 1 || !is_blank(cells_[0])) sink_.row(std::move(cells_), row_line_);
    cells_.clear();
    row_begun_ = false;
  }

  const std::string& text_;
  const RowSink& sink_;
  std::int64_t line_, row_line_ = 0;
  std::size_t i_ = 0;
  Cells cells_;
  std::string cell_;
  bool quoted_ = false, row_begun_ = false;
};

void for_each_csv_row(const FileText& part, std::size_t, const RowSink& sink) {
  CsvRows(part, sink).read();
}

// Follows quotes as CsvRows does. The last character of a text is left: what it means is told by the one behind it.
WholeRecords whole_rows() {
  return [i = std::size_t{0}, quoted = false, empty = true](std::string_view text) mutable {
    std::size_t cut = 0;
    while (i + 1 < text.size()) {
      const char c = text[i];
      const std::size_t line_end = line_end_at(text, i);
      const bool two_quotes = quoted && c == '"' && text[i + 1] == '"';
      if (quoted ? c == '"' && !two_quotes : c == '"' && empty)
        quoted = !quoted;
      else
        empty = !quoted && (c == ',' || line_end > 0);
      i += two_quotes ? 2 : std::max<std::size_t>(line_end, 1);
      if (line_end > 0 && !quoted) cut = i;
    }
    i -= cut;
    return cut;
  };
}

}  // namespace

void read_csv(const std::string& path, const PartSink& take) {
  read_table(path, FileParts(path, whole_rows()), for_each_csv_row, take);
}

}  // namespace finetune
