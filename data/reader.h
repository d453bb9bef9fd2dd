// Files as records: one JSON object each, with the place it came from.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "core/memory_files.h"

namespace finetune {

struct Record {
  nlohmann::ordered_json value;  ///< an object: columns by name ({"text": ...} for .txt)
  std::int64_t line = 0;         ///< 1-based line it begins at; for .json and .parquet the number of the record
};

/// What the reader calls for each record, and for each line that cannot be read.
struct RecordSink {
  std::function<void(Record)> record;
  std::function<void(std::int64_t line, const std::string& reason)> reject;
};

/// Consecutive records of a file, which any thread may read, also several times; owns what it reads.
struct FilePart {
  std::function<void(const RecordSink&)> read;
  std::uint64_t bytes = 0;  ///< of the file; 0 where it is not known
};
using PartSink = std::function<void(FilePart)>;

/// Reads .jsonl and .json (a list of objects or one per line), .csv (RFC 4180, header), .tsv (header, no quoting) or
/// .txt, and .parquet where setup.sh --parquet has been run, told by the name's end. `separator`: for .txt; "" = one
/// record per non-empty line. All but a list in .json are in memory a few parts at a time. Throws Error
/// (bad_input) for a file that cannot be read at all, after what came before has been taken. What is in `memory` is
/// read from there.
void read_parts(const std::string& path, const std::string& separator, const MemoryFiles& memory, const PartSink& take);

/// The same, record by record.
void read_records(const std::string& path, const std::string& separator, const MemoryFiles& memory,
                  const RecordSink& sink);

}  // namespace finetune
