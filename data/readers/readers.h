// One function per kind of file. All but two cut it into parts of whole records, which are in memory a few at a time;
// read_json takes the whole text (without a byte order mark), read_parquet a row group at a time. `path` is for
// messages.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "data/reader.h"

namespace finetune {

/// {"text": ...} per non-empty line.
void read_text_lines(const std::string& path, const PartSink& take);
/// One object per line. False, and nothing was taken: the file is a list, or something else for read_json; told by the
/// text, since both are found under both names. `text`: instead of the file's; null: none.
bool read_json_lines(const std::string& path, std::shared_ptr<const std::string> text, const PartSink& take);

/// A list of objects.
void read_json(const std::string& path, const std::string& content, const RecordSink& sink);
/// RFC 4180 with a header; CR alone ends a row too.
void read_csv(const std::string& path, const PartSink& take);
/// Tab-separated with a header, no quoting; the last column takes the rest of the line.
void read_tsv(const std::string& path, const PartSink& take);
/// {"text": ...} per part between separators (line ends inside a part become LF).
void read_txt(const std::string& path, const std::string& separator, const PartSink& take);
/// A column is a key, a row a record, as data/parquet/cell_json.h says; a row group is in memory at a time. Throws
/// Error (bad_input) naming file and row for what is damaged, and where this build has no such reader.
void read_parquet(const std::string& path, const RecordSink& sink);

/// Bytes of the byte order mark that a text begins with. Throws Error (bad_input) naming `path` for one that says
/// UTF-16 or UTF-32.
std::size_t byte_order_mark(const std::string& path, std::string_view text);

}  // namespace finetune
