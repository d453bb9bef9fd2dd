// One function per kind of file: from its text (without a byte order mark) to records. `path` is for messages.
#pragma once

#include <string>

#include "data/reader.h"

namespace finetune {

/// A list of objects, or one object per line; told by the text, since both are found under both names.
void read_json(const std::string& path, const std::string& content, const RecordSink& sink);
/// RFC 4180 with a header; CR alone ends a row too.
void read_csv(const std::string& path, const std::string& content, const RecordSink& sink);
/// Tab-separated with a header, no quoting; the last column takes the rest of the line.
void read_tsv(const std::string& path, const std::string& content, const RecordSink& sink);
/// {"text": ...} per non-empty line, or per part between separators (line ends inside a part become LF).
void read_txt(const std::string& path, const std::string& content, const std::string& separator,
              const RecordSink& sink);
/// A column is a key, a row a record, as data/parquet/cell_json.h says; a row group is in memory at a time. Throws
/// Error (bad_input) naming file and row for what is damaged, and where this build has no such reader.
void read_parquet(const std::string& path, const RecordSink& sink);

}  // namespace finetune
