// The database that a study's record lies in, as far as a run needs one: statements that are compiled once, rows as
// plain values, transactions. A file is SQLite: what it writes is in WAL mode, so readers see the last commit whole and
// never wait, and with synchronous=NORMAL: after a power cut it is consistent and lacks at most the latest commits. A
// file that is not trusted is opened behind database_guard.h. An address (core/database_url.h) is a database of a
// PostgreSQL server. One thread at a time.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "core/disk_fault.h"
#include "core/error.h"
#include "study/sql_connection.h"

namespace finetune {

/// Text of the source code: nothing else compiles, so content only ever goes in as a bound value.
struct Sql {
  consteval Sql(const char* literal) : text(literal) {}
  const char* text;
};

class Database {
 public:
  /// `place`: a file's path, or an address. Everything here throws Error naming the place, without its password: a file
  /// that cannot be opened, is no database, is locked, lies on a full disk; a server that does not answer or refuses.
  /// It is `failed`; bad_input while what is not trusted is opened and checked, all the time for Access::read, and for
  /// Access::resume where a table is not what it should be.
  explicit Database(const std::filesystem::path& place, Access access = Access::create,
                    std::chrono::milliseconds patience = std::chrono::seconds(10));

  /// One statement with its values for ?1, ?2, ...; returns its rows.
  std::vector<SqlRow> run(Sql statement, std::initializer_list<SqlValue> values = {});

  /// The same, row by row, for what may be many; `visit` does not run this statement again.
  void each(Sql statement, std::initializer_list<SqlValue> values, const std::function<void(const SqlRow&)>& visit);

  /// Any number of statements without values.
  void execute(Sql script) { connection_->execute(script.text); }

  bool has_table(const std::string& name) { return connection_->has_table(name); }
  /// Within a transaction: nobody else who asks for it comes past here until its end.
  void lock() { connection_->lock(); }
  void make_durable() { connection_->make_durable(); }

  /// As it is shown to people.
  const std::string& place() const { return place_; }

 private:
  friend class Transaction;
  friend void transact(Database&, const OnDiskFault&, const std::function<void()>&);

  std::string place_;
  std::unique_ptr<SqlConnection> connection_;
};

/// Everything between here and commit() is seen by others at once, or never: it is undone by a destructor before that.
class Transaction {
 public:
  explicit Transaction(Database& database) : Transaction(*database.connection_) { connection_.begin(); }
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  void commit();

 private:
  friend void transact(Database&, const OnDiskFault&, const std::function<void()>&);
  explicit Transaction(SqlConnection& begun) : connection_(begun) {}

  SqlConnection& connection_;
  bool open_ = true;
};

/// A disk that does not take what is written, another writer that does not let go of the file, a server that is gone.
class DatabaseFault : public Error {
 public:
  DatabaseFault(const Error& error, int code) : Error(error), code_(code) {}
  int code() const { return code_; }  ///< errno; ENOTCONN: the server

 private:
  int code_;
};

/// Opens `place`; a server that is away is waited for, as `on_fault` says.
Database opened(const std::filesystem::path& place, const OnDiskFault& on_fault, Access access);

/// Runs `work` as one transaction. After a DatabaseFault it is undone, `on_fault` asked (core/disk_fault.h), and it
/// begins again.
void transact(Database& database, const OnDiskFault& on_fault, const std::function<void()>& work);

}  // namespace finetune
