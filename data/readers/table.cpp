#include "data/readers/table.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "core/error.h"
#include "core/files.h"

namespace finetune {
namespace {

using Json = nlohmann::ordered_json;

struct Header {
  Cells names;
  std::int64_t line = 0;
};

void check_header(const Cells& names, const std::string& where) {
  for (const auto& name : names) {
    if (!is_utf8(name)) throw bad_input(where, "is not valid UTF-8");
    if (name.empty() || std::ranges::count(names, name) > 1) {
      throw bad_input(where, "the header names column \"" + name + "\" twice or not at all; a header line is needed");
    }
  }
}

// Null where the part has no row.
std::shared_ptr<const Header> find_header(const std::string& path, const FileText& part, ForEachRow for_each_row) {
  std::shared_ptr<Header> header;
  for_each_row(part, 0,
               {[&](Cells cells, std::int64_t line) {
                  if (!header) header = std::make_shared<Header>(Header{std::move(cells), line});
                },
                [](std::int64_t, const std::string&) {}});
  if (header) check_header(header->names, path + ":" + std::to_string(header->line));
  return header;
}

void put(const Cells& names, Cells cells, std::int64_t line, const RecordSink& sink) {
  if (cells.size() != names.size()) {
    return sink.reject(
        line, "has " + std::to_string(cells.size()) + " columns, the header has " + std::to_string(names.size()));
  }
  Json row = Json::object();
  for (std::size_t i = 0; i < cells.size(); ++i) {
    if (!is_utf8(cells[i])) return sink.reject(line, "is not valid UTF-8");
    row[names[i]] = std::move(cells[i]);
  }
  sink.record({std::move(row), line});
}

}  // namespace

void read_table(const std::string& path, FileParts parts, ForEachRow for_each_row, const PartSink& take) {
  std::shared_ptr<const Header> header;
  for (FileText part; parts.next(part);) {
    if (!header) header = find_header(path, part, for_each_row);
    const auto read = [part, header, for_each_row](const RecordSink& sink) {
      for_each_row(part, header ? header->names.size() : 0,
                   {[&](Cells cells, std::int64_t line) {
                      if (line > header->line) put(header->names, std::move(cells), line, sink);
                    },
                    sink.reject});
    };
    take({read, part.text->size()});
  }
}

}  // namespace finetune
