#include "study/database.h"

#include <sqlite3.h>

#include <cerrno>
#include <cstring>
#include <exception>

#include "core/error.h"
#include "study/database_guard.h"

namespace finetune {
namespace {

SqlValue column(sqlite3_stmt* statement, int i) {
  switch (sqlite3_column_type(statement, i)) {
    case SQLITE_NULL:
      return {};
    case SQLITE_INTEGER:
      return std::int64_t{sqlite3_column_int64(statement, i)};
    case SQLITE_FLOAT:
      return sqlite3_column_double(statement, i);
    default:
      const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement, i));  // null for an empty text
      return std::string(bytes ? bytes : "", static_cast<std::size_t>(sqlite3_column_bytes(statement, i)));
  }
}

SqlRow row_of(sqlite3_stmt* statement) {
  SqlRow row;
  for (int i = 0; i < sqlite3_column_count(statement); ++i) row.push_back(column(statement, i));
  return row;
}

// As errno, where waiting may help; else 0.
int fault_of(int code, int number) {
  if ((code & 0xff) == SQLITE_FULL) return ENOSPC;
  if ((code & 0xff) == SQLITE_BUSY) return EBUSY;
  return may_go_away(number) ? number : 0;
}

// A file that is no database, or has not the tables that it should.
bool is_content(int code) {
  const int kind = code & 0xff;
  return kind == SQLITE_ERROR || kind == SQLITE_CORRUPT || kind == SQLITE_NOTADB;
}

// A statement that failed is under way until it is reset, and a transaction cannot end before; its values are the
// caller's.
struct Reset {
  void operator()(sqlite3_stmt* statement) const {
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
  }
};
using Rewinder = std::unique_ptr<sqlite3_stmt, Reset>;

}  // namespace

void Database::Close::operator()(sqlite3* connection) const {
  sqlite3_close(connection);
}

void Database::Finalize::operator()(sqlite3_stmt* statement) const {
  sqlite3_finalize(statement);
}

Database::Database(std::filesystem::path file, Access access, std::chrono::milliseconds patience)
    : file_(std::move(file)),
      access_(access),
      kind_(access == Access::create ? ErrorKind::failed : ErrorKind::bad_input) {
  if (access != Access::create) require_plain_file(file_);
  open(patience);
  if (access != Access::create) check_untrusted();
  if (access != Access::read) {
    execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL");
    kind_ = ErrorKind::failed;
  }
}

Database::~Database() = default;

void Database::open(std::chrono::milliseconds patience) {
  const bool reads = access_ == Access::read;
  const int may = reads                       ? SQLITE_OPEN_READONLY | SQLITE_OPEN_URI
                  : access_ == Access::resume ? SQLITE_OPEN_READWRITE
                                              : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  sqlite3* connection = nullptr;
  const std::string name = reads ? reading_uri(file_) : file_.string();
  const int code = sqlite3_open_v2(name.c_str(), &connection, may | SQLITE_OPEN_NOMUTEX, nullptr);
  connection_.reset(connection);  // there is one to close, and to ask for the reason, also after an error
  require(code);
  sqlite3_busy_timeout(connection, static_cast<int>(patience.count()));
}

void Database::check_untrusted() {
  harden(connection_.get());
  work_ = limit_work(connection_.get(), file_);
  execute("PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0");
  const auto found = run("PRAGMA quick_check(1)");
  const auto* text = found.empty() || found[0].empty() ? nullptr : std::get_if<std::string>(&found[0][0]);
  if (text == nullptr || *text != "ok")
    throw bad_input(file_.string(), "is damaged: " + (text == nullptr ? "it cannot be checked" : *text));
  if (access_ == Access::resume) stop_limiting(connection_.get());
}

std::vector<SqlRow> Database::run(Sql statement, std::initializer_list<SqlValue> values) {
  std::vector<SqlRow> rows;
  each(statement, values, [&](const SqlRow& row) { rows.push_back(row); });
  return rows;
}

void Database::each(Sql statement, std::initializer_list<SqlValue> values,
                    const std::function<void(const SqlRow&)>& visit) {
  sqlite3_stmt* const prepared = compiled(statement);
  const Rewinder rewinder(prepared);
  int position = 0;
  for (const SqlValue& value : values) bind(prepared, ++position, value);
  int code = SQLITE_ROW;
  while ((code = sqlite3_step(prepared)) == SQLITE_ROW) visit(row_of(prepared));
  if (code != SQLITE_DONE) require(code);
}

void Database::execute(Sql script) {
  require(sqlite3_exec(connection_.get(), script.text, nullptr, nullptr, nullptr));
}

sqlite3_stmt* Database::compiled(Sql statement) {
  auto& kept = statements_[statement.text];
  if (kept) return kept.get();
  sqlite3_stmt* prepared = nullptr;
  require(sqlite3_prepare_v3(connection_.get(), statement.text, -1, SQLITE_PREPARE_PERSISTENT, &prepared, nullptr));
  kept.reset(prepared);
  return prepared;
}

void Database::bind(sqlite3_stmt* statement, int position, const SqlValue& value) {
  if (const auto* whole = std::get_if<std::int64_t>(&value))
    require(sqlite3_bind_int64(statement, position, *whole));
  else if (const auto* real = std::get_if<double>(&value))
    require(sqlite3_bind_double(statement, position, *real));
  else if (const auto* text = std::get_if<std::string>(&value))
    require(sqlite3_bind_text64(statement, position, text->data(), text->size(), SQLITE_STATIC, SQLITE_UTF8));
  else
    require(sqlite3_bind_null(statement, position));
}

void Database::require(int code) const {
  if (code == SQLITE_OK) return;
  std::string why = connection_ ? sqlite3_errmsg(connection_.get()) : sqlite3_errstr(code);
  const bool of_the_system = (code & 0xff) == SQLITE_CANTOPEN || (code & 0xff) == SQLITE_IOERR;
  const int number = connection_ && of_the_system ? sqlite3_system_errno(connection_.get()) : 0;
  if (number != 0) why += std::string(" (") + std::strerror(number) + ")";
  if (connection_ && sqlite3_extended_errcode(connection_.get()) == SQLITE_READONLY_ROLLBACK)
    why = "a write was cut off; whoever wrote it mends it by opening it once";
  if ((code & 0xff) == SQLITE_INTERRUPT) why = "it asks for more work than a file of its size should";
  const Error error(access_ == Access::resume && is_content(code) ? ErrorKind::bad_input : kind_, file_.string(),
                    (access_ == Access::read ? "cannot be read: " : "cannot be read or written: ") + why);
  if (const int fault = fault_of(code, number); fault != 0) throw DatabaseFault(error, fault);
  throw error;
}

// IMMEDIATE takes the lock of writers at once: one that begins as a reader could not wait for it.
Transaction::Transaction(Database& database) : database_(database) {
  database_.run("BEGIN IMMEDIATE");
}

Transaction::~Transaction() {
  if (!open_) return;
  try {
    database_.run("ROLLBACK");
  } catch (const std::exception&) {  // SQLite has undone it already: some errors do
  }
}

void Transaction::commit() {
  database_.run("COMMIT");
  open_ = false;
}

void transact(Database& database, const OnDiskFault& on_fault, const std::function<void()>& work) {
  for (;;) {
    try {
      Transaction transaction(database);
      work();
      return transaction.commit();
    } catch (const DatabaseFault& fault) {
      if (!on_fault || !on_fault({.path = database.file(), .code = fault.code()})) throw;
    }
  }
}

}  // namespace finetune
