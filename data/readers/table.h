// Files whose first row names the columns: what .csv and .tsv have in common.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "data/reader.h"
#include "data/readers/file_parts.h"

namespace finetune {

using Cells = std::vector<std::string>;

/// What is called for each row of a part that is not blank, with the line that it begins on; `reject` for one that has
/// no end.
struct RowSink {
  std::function<void(Cells cells, std::int64_t line)> row;
  std::function<void(std::int64_t line, const std::string& reason)> reject;
};

/// Goes through the rows of a part; `columns`: of the header, 0 while it is looked for. Any thread.
using ForEachRow = void (*)(const FileText& part, std::size_t columns, const RowSink& sink);

/// The first row is the header, the others are records. Throws Error (bad_input) naming a header that cannot be one.
void read_table(const std::string& path, FileParts parts, ForEachRow for_each_row, const PartSink& take);

}  // namespace finetune
