// What a database has to do for a study's record, whatever kind it is: SQLite (study/sqlite.h) or PostgreSQL
// (study/postgres.h). Statements are written once, in what both understand, with ?1, ?2, ... for values; where the two
// differ stands behind this.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace finetune {

/// NULL, INTEGER, REAL or TEXT. A NaN is kept as NULL.
using SqlValue = std::variant<std::monostate, std::int64_t, double, std::string>;
using SqlRow = std::vector<SqlValue>;

enum class Access {
  create,  ///< reads and writes; makes the file where there is none. What is in it was written by this process.
  resume,  ///< reads and writes a file that is there and is not trusted
  read,    ///< reads a file that is not trusted, also while others write it, and leaves its folder as it was
};

/// One thread at a time. Everything throws Error naming the database; DatabaseFault (study/database.h) where waiting
/// may help.
class SqlConnection {
 public:
  virtual ~SqlConnection() = default;

  /// One statement. It is compiled at the first call and kept, by the address of its text, which is the source's.
  virtual void each(const char* statement, std::span<const SqlValue> values,
                    const std::function<void(const SqlRow&)>& visit) = 0;
  /// Any number of statements without values.
  virtual void execute(const char* script) = 0;

  /// A transaction, in which nobody else writes what this study's record has in common with others.
  virtual void begin() = 0;
  virtual void commit() = 0;
  /// Instead of begin(), for the same work after a DatabaseFault: true where its commit went well and only the answer
  /// was lost; nothing is begun then.
  virtual bool begin_again() {
    begin();
    return false;
  }
  virtual void rollback() noexcept = 0;
  /// Within a transaction: until its end nobody else comes past here.
  virtual void lock() {}

  /// A table itself: a view is none.
  virtual bool has_table(const std::string& name) = 0;
  /// From now on a transaction is on the disk when commit() returns.
  virtual void make_durable() = 0;
};

/// Whoever finds the file locked by another writer waits for `patience`.
std::unique_ptr<SqlConnection> open_sqlite(const std::filesystem::path& file, Access access,
                                           std::chrono::milliseconds patience);

/// Throws Error where this build has no libpqxx.
std::unique_ptr<SqlConnection> open_postgres(const std::string& url, Access access);

}  // namespace finetune
