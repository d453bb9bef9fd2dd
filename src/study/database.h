// An SQLite database, as far as a run's folder needs one: statements that are compiled once, rows as plain values,
// transactions. It is in WAL mode, so readers see the last commit whole and never wait, and with synchronous=NORMAL:
// after a power cut it is consistent and lacks at most the latest commits. One thread at a time.
// Source: https://www.sqlite.org/c3ref/intro.html, https://www.sqlite.org/wal.html.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

struct sqlite3;
struct sqlite3_stmt;

namespace finetune {

/// NULL, INTEGER, REAL or TEXT. SQLite keeps a NaN as NULL.
using SqlValue = std::variant<std::monostate, std::int64_t, double, std::string>;
using SqlRow = std::vector<SqlValue>;

/// Text of the source code: nothing else compiles, so content only ever goes in as a bound value.
struct Sql {
  consteval Sql(const char* literal) : text(literal) {}
  const char* text;
};

class Database {
 public:
  /// Opens `file`, or creates it. Whoever finds it locked by another writer waits for `patience`. Everything here
  /// throws Error (failed) naming the file: one that cannot be opened, is no database, is locked, lies on a full disk.
  explicit Database(std::filesystem::path file, std::chrono::milliseconds patience = std::chrono::seconds(10));

  /// One statement with its values for ?1, ?2, ...; returns its rows. It is compiled at the first call and kept.
  std::vector<SqlRow> run(Sql statement, std::initializer_list<SqlValue> values = {});

  /// Any number of statements without values.
  void execute(Sql script);

 private:
  struct Close {
    void operator()(sqlite3* connection) const;
  };
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  sqlite3_stmt* compiled(Sql statement);
  void bind(sqlite3_stmt* statement, int position, const SqlValue& value);
  void require(int code) const;

  std::filesystem::path file_;
  std::unique_ptr<sqlite3, Close> connection_;
  std::map<const char*, std::unique_ptr<sqlite3_stmt, Finalize>> statements_;
};

/// Everything between here and commit() is seen by others at once, or never: it is undone by a destructor before that.
class Transaction {
 public:
  explicit Transaction(Database& database);
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  void commit();

 private:
  Database& database_;
  bool open_ = true;
};

}  // namespace finetune
