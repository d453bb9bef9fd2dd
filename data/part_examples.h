// From the records of a part of a file to examples. What a record becomes depends on it alone, so parts are worked on
// by all cores.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/reader.h"
#include "data/record_format.h"

namespace finetune {

/// Takes the records one by one and counts what happens to them. Used by one thread.
class PartExamples {
 public:
  /// `format`: open, must outlive this. `file`: which all examples are of.
  PartExamples(const RecordFormat& format, std::int32_t file) : format_(format), file_(file) {}

  void add(const Record& record);
  void reject(std::int64_t line, const std::string& reason);

  /// Once, at the end: examples in one block, counts and rejects; no files, no format.
  Dataset take();

 private:
  void add_text(const Record& record);
  void add_preference(const Record& record);
  bool fit(Example& sequence);
  void count(Example example, const Record& record);
  void count_roles(const Example& example, const Rendered& rendered, const Encoding& encoding);
  void note_columns(const Record& record);

  const RecordFormat& format_;
  const std::int32_t file_;
  std::vector<Example> examples_;
  Dataset data_;
};

}  // namespace finetune
