// Tables for people on a terminal, which may be a narrow one.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace finetune {

struct TableColumn {
  std::string name;
  bool left = false;  ///< begins at the left; figures end at the right
};
using TableRow = std::vector<std::string>;

/// The heading and a line a row, without line ends, each behind two blanks; columns are as wide as what is in them.
/// What is wider than `width` columns (0: there is no limit) has a row's first cell on a line, and below it the others,
/// each behind its column's name, as many a line as there is room for; cells that are empty or "-" are left out there.
std::vector<std::string> table_lines(std::span<const TableColumn> columns, std::span<const TableRow> rows,
                                     std::size_t width = 0);

/// A text in lines of at most `width` columns (0: there is no limit), cut at blanks, each behind
/// the blanks that it begins with; a longer word has a line of its own.
std::vector<std::string> wrapped_lines(const std::string& text, std::size_t width);

}  // namespace finetune
