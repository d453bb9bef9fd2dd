#include "study/database.h"

#include <sqlite3.h>

#include <cstring>

#include "core/error.h"

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

Database::Database(std::filesystem::path file, std::chrono::milliseconds patience) : file_(std::move(file)) {
  sqlite3* connection = nullptr;
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
  const int code = sqlite3_open_v2(file_.c_str(), &connection, flags, nullptr);
  connection_.reset(connection);  // there is one to close, and to ask for the reason, also after an error
  require(code);
  sqlite3_busy_timeout(connection, static_cast<int>(patience.count()));
  execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL");
}

std::vector<SqlRow> Database::run(Sql statement, std::initializer_list<SqlValue> values) {
  sqlite3_stmt* const prepared = compiled(statement);
  const Rewinder rewinder(prepared);
  int position = 0;
  for (const SqlValue& value : values) bind(prepared, ++position, value);
  std::vector<SqlRow> rows;
  int code = SQLITE_ROW;
  while ((code = sqlite3_step(prepared)) == SQLITE_ROW) rows.push_back(row_of(prepared));
  if (code != SQLITE_DONE) require(code);
  return rows;
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
  throw failed(file_.string(), "cannot be read or written: " + why);
}

// IMMEDIATE takes the lock of writers at once: one that begins as a reader could not wait for it.
Transaction::Transaction(Database& database) : database_(database) {
  database_.run("BEGIN IMMEDIATE");
}

Transaction::~Transaction() {
  if (!open_) return;
  try {
    database_.run("ROLLBACK");
  } catch (const Error&) {  // SQLite has undone it already: some errors do
  }
}

void Transaction::commit() {
  database_.run("COMMIT");
  open_ = false;
}

}  // namespace finetune
