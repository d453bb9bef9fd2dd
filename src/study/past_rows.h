// Rows of a database that is not trusted, as values of the types that they must have.
#pragma once

#include <functional>
#include <string>

#include "study/database.h"

namespace finetune {

/// One row whose first column is its rowid. Everything throws Error (bad_input) naming file, table and row.
class PastRow {
 public:
  PastRow(const std::string& file, const char* table, const SqlRow& row) : file_(file), table_(table), row_(row) {}

  bool is_null(std::size_t column) const;
  std::int64_t whole(std::size_t column, const char* name) const;
  double number(std::size_t column, const char* name) const;
  const std::string& text(std::size_t column, const char* name) const;  ///< valid UTF-8
  [[noreturn]] void refuse(const std::string& what) const;
  std::string where() const;  ///< "study.db: trials, row 3"

 private:
  const std::string& file_;
  const char* table_;
  const SqlRow& row_;
};

/// The tables of one file. A view or a virtual table is none.
class PastTables {
 public:
  explicit PastTables(const std::string& file);
  void require_table(const char* name);
  /// Throws also when there are more than `most` rows.
  void each(const char* table, Sql statement, std::initializer_list<SqlValue> values, std::int64_t most,
            const std::function<void(const PastRow&)>& visit);
  const std::string& file() const { return file_; }

 private:
  std::string file_;
  Database database_;
};

}  // namespace finetune
