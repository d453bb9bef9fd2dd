// SQLite behind study/sql_connection.h.
// Source: https://www.sqlite.org/c3ref/intro.html, https://www.sqlite.org/wal.html.
#include <sqlite3.h>

#include <cerrno>
#include <cstring>
#include <exception>
#include <map>
#include <utility>

#include "core/error.h"
#include "study/database.h"
#include "study/database_guard.h"

namespace finetune {
namespace {

namespace fs = std::filesystem;

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

struct Close {
  void operator()(sqlite3* connection) const { sqlite3_close(connection); }
};

struct Finalize {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};

class Sqlite : public SqlConnection {
 public:
  Sqlite(fs::path file, Access access, std::chrono::milliseconds patience);
  void each(const char* statement, std::span<const SqlValue> values,
            const std::function<void(const SqlRow&)>& visit) override;
  void execute(const char* script) override;
  // IMMEDIATE takes the lock of writers at once: one that begins as a reader could not wait for it.
  void begin() override { each("BEGIN IMMEDIATE", {}, {}); }
  void commit() override { each("COMMIT", {}, {}); }
  void rollback() noexcept override;
  bool has_table(const std::string& name) override;
  void make_durable() override { execute("PRAGMA synchronous = FULL"); }

 private:
  sqlite3_stmt* compiled(const char* statement);
  void bind(sqlite3_stmt* statement, int position, const SqlValue& value);
  void require(int code) const;
  void open(std::chrono::milliseconds patience);
  void check_untrusted();

  fs::path file_;
  Access access_;
  ErrorKind kind_;
  std::unique_ptr<WorkLimit> work_;  // before the connection, which asks it to the last
  std::unique_ptr<sqlite3, Close> connection_;
  std::map<const char*, std::unique_ptr<sqlite3_stmt, Finalize>> statements_;
};

Sqlite::Sqlite(fs::path file, Access access, std::chrono::milliseconds patience)
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

void Sqlite::open(std::chrono::milliseconds patience) {
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

void Sqlite::check_untrusted() {
  harden(connection_.get());
  work_ = limit_work(connection_.get(), file_);
  execute("PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0");
  std::string found = "it cannot be checked";
  each("PRAGMA quick_check(1)", {}, [&](const SqlRow& row) {
    if (const auto* text = row.empty() ? nullptr : std::get_if<std::string>(&row[0])) found = *text;
  });
  if (found != "ok") throw bad_input(file_.string(), "is damaged: " + found);
  if (access_ == Access::resume) stop_limiting(connection_.get());
}

void Sqlite::each(const char* statement, std::span<const SqlValue> values,
                  const std::function<void(const SqlRow&)>& visit) {
  sqlite3_stmt* const prepared = compiled(statement);
  const Rewinder rewinder(prepared);
  int position = 0;
  for (const SqlValue& value : values) bind(prepared, ++position, value);
  int code = SQLITE_ROW;
  while ((code = sqlite3_step(prepared)) == SQLITE_ROW) {
    if (visit) visit(row_of(prepared));
  }
  if (code != SQLITE_DONE) require(code);
}

void Sqlite::execute(const char* script) {
  require(sqlite3_exec(connection_.get(), script, nullptr, nullptr, nullptr));
}

sqlite3_stmt* Sqlite::compiled(const char* statement) {
  auto& kept = statements_[statement];
  if (kept) return kept.get();
  sqlite3_stmt* prepared = nullptr;
  require(sqlite3_prepare_v3(connection_.get(), statement, -1, SQLITE_PREPARE_PERSISTENT, &prepared, nullptr));
  kept.reset(prepared);
  return prepared;
}

void Sqlite::bind(sqlite3_stmt* statement, int position, const SqlValue& value) {
  if (const auto* whole = std::get_if<std::int64_t>(&value))
    require(sqlite3_bind_int64(statement, position, *whole));
  else if (const auto* real = std::get_if<double>(&value))
    require(sqlite3_bind_double(statement, position, *real));
  else if (const auto* text = std::get_if<std::string>(&value))
    require(sqlite3_bind_text64(statement, position, text->data(), text->size(), SQLITE_STATIC, SQLITE_UTF8));
  else
    require(sqlite3_bind_null(statement, position));
}

void Sqlite::require(int code) const {
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

void Sqlite::rollback() noexcept {
  try {
    each("ROLLBACK", {}, {});
  } catch (const std::exception&) {  // SQLite has undone it already: some errors do
  }
}

bool Sqlite::has_table(const std::string& name) {
  bool found = false;
  const SqlValue value = name;
  each("SELECT 1 FROM sqlite_schema WHERE name = ?1 AND type = 'table' AND rootpage > 0", {&value, 1},
       [&](const SqlRow&) { found = true; });
  return found;
}

}  // namespace

std::unique_ptr<SqlConnection> open_sqlite(const fs::path& file, Access access, std::chrono::milliseconds patience) {
  return std::make_unique<Sqlite>(file, access, patience);
}

}  // namespace finetune
