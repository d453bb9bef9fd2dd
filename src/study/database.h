// An SQLite database, as far as a run's folder needs one: statements that are compiled once, rows as plain values,
// transactions. What it writes is in WAL mode, so readers see the last commit whole and never wait, and with
// synchronous=NORMAL: after a power cut it is consistent and lacks at most the latest commits. A file that is not
// trusted is opened behind database_guard.h. One thread at a time.
// Source: https://www.sqlite.org/c3ref/intro.html, https://www.sqlite.org/wal.html.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "core/disk_fault.h"
#include "core/error.h"

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

enum class Access {
  create,  ///< reads and writes; makes the file where there is none. What is in it was written by this process.
  resume,  ///< reads and writes a file that is there and is not trusted
  read,    ///< reads a file that is not trusted, also while others write it, and leaves its folder as it was
};

struct WorkLimit;

class Database {
 public:
  /// Whoever finds the file locked by another writer waits for `patience`. Everything here throws Error naming the
  /// file: one that cannot be opened, is no database, is locked, lies on a full disk. It is `failed`; bad_input while
  /// what is not trusted is opened and checked, all the time for Access::read, and for Access::resume where a table is
  /// not what it should be.
  explicit Database(std::filesystem::path file, Access access = Access::create,
                    std::chrono::milliseconds patience = std::chrono::seconds(10));
  ~Database();

  /// One statement with its values for ?1, ?2, ...; returns its rows. It is compiled at the first call and kept.
  std::vector<SqlRow> run(Sql statement, std::initializer_list<SqlValue> values = {});

  /// The same, row by row, for what may be many; `visit` does not run this statement again.
  void each(Sql statement, std::initializer_list<SqlValue> values, const std::function<void(const SqlRow&)>& visit);

  /// Any number of statements without values.
  void execute(Sql script);

  const std::filesystem::path& file() const { return file_; }

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
  void open(std::chrono::milliseconds patience);
  void check_untrusted();

  std::filesystem::path file_;
  Access access_;
  ErrorKind kind_;
  std::unique_ptr<WorkLimit> work_;  // before the connection, which asks it to the last
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

/// A disk that does not take what is written, or another writer that does not let go of the file.
class DatabaseFault : public Error {
 public:
  DatabaseFault(const Error& error, int code) : Error(error), code_(code) {}
  int code() const { return code_; }  ///< errno

 private:
  int code_;
};

/// Runs `work` as one transaction. After a DatabaseFault it is undone, `on_fault` asked (core/disk_fault.h), and it
/// begins again.
void transact(Database& database, const OnDiskFault& on_fault, const std::function<void()>& work);

}  // namespace finetune
