// Parquet by Arrow's libraries: a row group at a time, so that a file may be larger than memory.
#include <arrow/io/file.h>
#include <arrow/record_batch.h>
#include <arrow/table.h>
#include <parquet/arrow/reader.h>

#include <memory>
#include <string>

#include "core/error.h"
#include "core/files.h"
#include "data/parquet/cell_json.h"
#include "data/reader.h"

namespace finetune {
namespace {

using Json = nlohmann::ordered_json;

std::string first_line(const arrow::Status& status) {
  const std::string message = status.message();
  return message.substr(0, message.find('\n'));
}

template <typename Value>
Value value_or_throw(arrow::Result<Value> result, const std::string& where, const std::string& what) {
  if (!result.ok()) throw bad_input(where, what + ": " + first_line(result.status()));
  return std::move(result).ValueUnsafe();
}

Json row_json(const arrow::RecordBatch& batch, std::int64_t row) {
  Json record = Json::object();
  for (int column = 0; column < batch.num_columns(); ++column) {
    const std::string& name = batch.column_name(column);
    try {
      put_named(record, name, cell_json(*batch.column(column), row));
    } catch (const Error& error) {
      throw bad_input("", "column " + (is_utf8(name) ? name : std::to_string(column + 1)) + " " + error.message());
    }
  }
  return record;
}

class ParquetRows {
 public:
  ParquetRows(const std::string& path, const RecordSink& sink) : path_(path), sink_(sink) {
    const std::string problem = "is no Parquet file, or a damaged one";
    auto file = value_or_throw(arrow::io::ReadableFile::Open(path), path, problem);
    reader_ = value_or_throw(parquet::arrow::OpenFile(file, arrow::default_memory_pool()), path, problem);
    reader_->set_use_threads(false);
  }

  void read() {
    const int groups = reader_->num_row_groups();
    for (int group = 0; group < groups; ++group) {
      const std::string where = path_ + ":" + std::to_string(row_ + 1);
      const std::string problem = "rows from here on (row group " + std::to_string(group + 1) + " of " +
                                  std::to_string(groups) + ") cannot be read";
      const auto table = value_or_throw(reader_->ReadRowGroup(group), where, problem);
      const arrow::Status status = table->ValidateFull();  // offsets come from the file
      if (!status.ok()) throw bad_input(where, problem + ": " + first_line(status));
      put(*table);
    }
  }

 private:
  void put(const arrow::Table& table) {
    arrow::TableBatchReader batches(table);
    for (;;) {
      const auto batch = value_or_throw(batches.Next(), path_, "cannot be read");
      if (batch == nullptr) return;
      for (std::int64_t i = 0; i < batch->num_rows(); ++i) put(*batch, i);
    }
  }

  void put(const arrow::RecordBatch& batch, std::int64_t i) {
    ++row_;
    Json record;
    try {
      record = row_json(batch, i);
    } catch (const Error& error) {
      return sink_.reject(row_, error.message());
    }
    sink_.record({std::move(record), row_});
  }

  const std::string& path_;
  const RecordSink& sink_;
  std::unique_ptr<parquet::arrow::FileReader> reader_;
  std::int64_t row_ = 0;
};

}  // namespace
}  // namespace finetune

extern "C" __attribute__((visibility("default"))) void finetune_read_parquet(const std::string& path,
                                                                             const finetune::RecordSink& sink) {
  finetune::ParquetRows(path, sink).read();
}
