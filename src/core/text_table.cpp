#include "core/text_table.h"

#include <algorithm>
#include <utility>

#include "core/text.h"

namespace finetune {
namespace {

constexpr const char *kMargin = "  ", *kInner = "    ";

std::string padded(const std::string& cell, std::size_t width, bool left) {
  const std::string blanks(width - std::min(width, cell.size()), ' ');
  return left ? cell + blanks : blanks + cell;
}

std::vector<std::size_t> widths_of(std::span<const TableColumn> columns, std::span<const TableRow> rows) {
  std::vector<std::size_t> widths;
  for (std::size_t c = 0; c < columns.size(); ++c) {
    widths.push_back(columns[c].name.size());
    for (const TableRow& row : rows) widths.back() = std::max(widths.back(), row[c].size());
  }
  return widths;
}

std::string line_of(std::span<const TableColumn> columns, const TableRow& row, std::span<const std::size_t> widths) {
  std::string line;
  for (std::size_t c = 0; c < columns.size(); ++c) line += kMargin + padded(row[c], widths[c], columns[c].left);
  while (line.ends_with(' ')) line.pop_back();
  return line;
}

// Pieces with commas between, each line behind the inner margin; a piece is not broken.
void add_pieces(std::vector<std::string>& lines, const std::vector<std::string>& pieces, std::size_t width) {
  std::string line;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const std::string piece = pieces[i] + (i + 1 < pieces.size() ? "," : "");
    if (!line.empty() && line.size() + 1 + piece.size() > width) lines.push_back(std::exchange(line, ""));
    line += (line.empty() ? kInner : " ") + piece;
  }
  if (!line.empty()) lines.push_back(line);
}

}  // namespace

std::vector<std::string> table_lines(std::span<const TableColumn> columns, std::span<const TableRow> rows,
                                     std::size_t width) {
  const std::vector<std::size_t> widths = widths_of(columns, rows);
  TableRow heading;
  for (const TableColumn& column : columns) heading.push_back(column.name);
  std::vector<std::string> lines{line_of(columns, heading, widths)};
  for (const TableRow& row : rows) lines.push_back(line_of(columns, row, widths));
  const auto fits = [&](const std::string& line) { return line.size() <= width; };
  if (width == 0 || std::ranges::all_of(lines, fits)) return lines;
  lines.clear();
  for (const TableRow& row : rows) {
    lines.push_back(kMargin + row.front());
    std::vector<std::string> pieces;
    for (std::size_t c = 1; c < columns.size(); ++c) {
      if (!row[c].empty() && row[c] != "-") pieces.push_back(columns[c].name + " " + row[c]);
    }
    add_pieces(lines, pieces, width);
  }
  return lines;
}

std::vector<std::string> wrapped_lines(const std::string& text, std::size_t width) {
  if (width == 0 || text.size() <= width) return {text};
  const std::string indent(std::min(text.find_first_not_of(' '), text.size()), ' ');
  std::vector<std::string> lines;
  std::string line;
  for (const std::string& word : split(text.substr(indent.size()), ' ')) {
    if (!line.empty() && line.size() + 1 + word.size() > width) lines.push_back(std::exchange(line, ""));
    line += (line.empty() ? indent : " ") + word;
  }
  if (!line.empty()) lines.push_back(line);
  return lines;
}

}  // namespace finetune
