#include <utility>

#include "data/readers/lines.h"
#include "data/readers/readers.h"
#include "data/readers/table.h"

namespace finetune {
namespace {

void for_each_tsv_row(const FileText& part, std::size_t columns, const RowSink& sink) {
  for_each_line(*part.text, [&](std::int64_t number, std::string_view line) {
    if (is_blank(line)) return;
    Cells cells;
    for (;;) {
      const bool last = cells.size() + 1 == columns;
      const std::size_t tab = last ? std::string_view::npos : line.find('\t');
      cells.emplace_back(line.substr(0, tab));
      if (tab == std::string_view::npos) break;
      line.remove_prefix(tab + 1);
    }
    sink.row(std::move(cells), part.first_line + number - 1);
  });
}

}  // namespace

void read_tsv(const std::string& path, const PartSink& take) {
  read_table(path, FileParts(path, whole_lines()), for_each_tsv_row, take);
}

}  // namespace finetune
