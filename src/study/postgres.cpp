// PostgreSQL, 13 or newer, behind study/sql_connection.h. Statements go through as they are, BEGIN and COMMIT too, so
// that what became of a commit whose answer was lost can be asked (ft_commits).
// Source: https://www.postgresql.org/docs/15/protocol.html; libpqxx 6.4, https://libpqxx.readthedocs.io.
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <map>
#include <optional>
#include <pqxx/pqxx>
#include <thread>
#include <utility>

#include "core/database_url.h"
#include "core/error.h"
#include "core/number.h"
#include "study/database.h"
#include "study/postgres_dialect.h"

namespace finetune {
namespace {

// Of pg_type: the only ones that are no text.
constexpr pqxx::oid kInt8 = 20, kInt2 = 21, kInt4 = 23, kFloat4 = 700, kFloat8 = 701;

// A server that answers nothing, at a start and later, in seconds and milliseconds.
constexpr const char *kConnectTimeout = "10", *kSilence = "20000";

// Of this program's transactions with each other, in one database.
constexpr const char* kLock = "7120041105";

std::string one_line(std::string text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0) text.pop_back();
  std::string line;
  for (const char c : text) {
    if (c == '\n' || c == '\t')
      line += line.ends_with(' ') ? "" : " ";
    else
      line += c;
  }
  return line;
}

SqlValue value_of(const pqxx::field& field) {
  if (field.is_null()) return {};
  const std::string_view text(field.c_str(), field.size());
  switch (field.type()) {
    case kInt8:
    case kInt4:
    case kInt2: {
      std::int64_t whole = 0;
      std::from_chars(text.data(), text.data() + text.size(), whole);
      return whole;
    }
    case kFloat4:
    case kFloat8: {
      if (text == "Infinity" || text == "-Infinity") return text[0] == '-' ? -HUGE_VAL : HUGE_VAL;
      const auto number = number_from_text(text);
      return number && !std::isnan(*number) ? SqlValue(*number) : SqlValue();
    }
    default:
      return std::string(text);
  }
}

std::optional<std::string> text_of(const SqlValue& value) {
  if (const auto* whole = std::get_if<std::int64_t>(&value)) return std::to_string(*whole);
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  const auto* number = std::get_if<double>(&value);
  if (number == nullptr || std::isnan(*number)) return std::nullopt;
  if (std::isinf(*number)) return *number > 0 ? "Infinity" : "-Infinity";
  return number_to_text(*number);
}

// As errno, where waiting may help: a server that is shut down, starts, or has no room; else 0.
int fault_of_state(const std::string& state) {
  if (state.starts_with("08") || state.starts_with("57P")) return ENOTCONN;
  if (state == "53100") return ENOSPC;
  if (state.starts_with("53")) return ENOTCONN;
  if (state == "40001" || state == "40P01") return EBUSY;  // two writers that waited for each other
  return 0;
}

// A transaction must not go on where another connection began it. libpqxx 7 never does that, so 6 calls this old.
void stay_lost(pqxx::connection& connection) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  connection.inhibit_reactivation(true);
#pragma GCC diagnostic pop
}

class Postgres : public SqlConnection {
 public:
  Postgres(const std::string& url, Access access);
  ~Postgres() override;
  void each(const char* statement, std::span<const SqlValue> values,
            const std::function<void(const SqlRow&)>& visit) override;
  void execute(const char* script) override;
  void begin() override;
  bool begin_again() override;
  void commit() override;
  void rollback() noexcept override;
  void lock() override { exec("SELECT pg_advisory_xact_lock(" + std::string(kLock) + ")"); }
  bool has_table(const std::string& name) override;
  void make_durable() override {}  // every commit is, unless the server's owner has said otherwise

 private:
  void connect();
  pqxx::result exec(const std::string& text);
  pqxx::result exec_kept(const char* statement, std::span<const SqlValue> values);
  void open_transaction();
  std::int64_t sign();
  [[noreturn]] void refuse(const std::string& why, int fault) const;
  template <typename Work>
  auto guarded(Work work) -> decltype(work());

  std::string url_, place_;
  ErrorKind kind_;
  std::unique_ptr<pqxx::connection> connection_;
  std::unique_ptr<pqxx::nontransaction> session_;
  std::map<const char*, std::string> prepared_;  // names
  bool in_transaction_ = false;
  // What the last transaction of this connection to be committed was: a row of ft_commits, written in it.
  std::string writer_;
  std::int64_t number_ = 0;
};

Postgres::Postgres(const std::string& url, Access access)
    : url_(with_parameter(
          with_parameter(with_parameter(url, "connect_timeout", kConnectTimeout), "tcp_user_timeout", kSilence),
          "application_name", "finetune_tune")),
      place_(without_password(url)),
      kind_(access == Access::create ? ErrorKind::failed : ErrorKind::bad_input) {
  if (const std::string problem = url_problem(url); !problem.empty()) throw bad_input("the address", problem);
  connect();
}

Postgres::~Postgres() {
  try {
    if (!writer_.empty() && connection_->is_open())
      session_->exec("DELETE FROM ft_commits WHERE writer = " + connection_->quote(writer_));
  } catch (const std::exception&) {  // a row that nobody reads
  }
}

void Postgres::refuse(const std::string& why, int fault) const {
  const Error error(kind_, place_, one_line(why));
  if (fault != 0) throw DatabaseFault(error, fault);
  throw error;
}

template <typename Work>
auto Postgres::guarded(Work work) -> decltype(work()) {
  try {
    return work();
  } catch (const pqxx::sql_error& error) {
    refuse(std::string("cannot be read or written: ") + error.what(), fault_of_state(error.sqlstate()));
  } catch (const pqxx::failure& error) {  // broken_connection, and what a connection says that broke meanwhile
    refuse(std::string("cannot be reached: ") + error.what(), ENOTCONN);
  } catch (const std::exception& error) {
    refuse(std::string("cannot be read or written: ") + error.what(), 0);
  }
}

void Postgres::connect() {
  if (connection_ && connection_->is_open()) return;
  guarded([this] {
    session_.reset();
    prepared_.clear();
    connection_ = std::make_unique<pqxx::connection>(url_);
    stay_lost(*connection_);
    session_ = std::make_unique<pqxx::nontransaction>(*connection_);
    session_->exec(
        "SET client_encoding TO UTF8; SET extra_float_digits TO 1; SET client_min_messages TO warning; SET TIME ZONE "
        "'UTC'");
  });
}

pqxx::result Postgres::exec(const std::string& text) {
  return guarded([&] { return session_->exec(text); });
}

pqxx::result Postgres::exec_kept(const char* statement, std::span<const SqlValue> values) {
  return guarded([&] {
    std::string& name = prepared_[statement];
    if (name.empty()) {
      name = "s" + std::to_string(prepared_.size());
      connection_->prepare(name, postgres_statement(statement));
    }
    std::vector<std::optional<std::string>> texts;
    for (const SqlValue& value : values) texts.push_back(text_of(value));
    std::vector<const char*> given;
    for (const auto& text : texts) given.push_back(text ? text->c_str() : nullptr);
    return session_->exec_prepared(name, pqxx::prepare::make_dynamic_params(given));
  });
}

void Postgres::each(const char* statement, std::span<const SqlValue> values,
                    const std::function<void(const SqlRow&)>& visit) {
  if (!in_transaction_) connect();
  const pqxx::result result = exec_kept(statement, values);
  for (const pqxx::row& found : result) {
    SqlRow row;
    for (const pqxx::field& field : found) row.push_back(value_of(field));
    if (visit) visit(row);
  }
}

void Postgres::execute(const char* script) {
  if (!in_transaction_) connect();
  exec(std::strstr(script, "CREATE TABLE") != nullptr ? postgres_schema(script) : script);
}

// Who waits here waits for a connection of ours that was lost and is not over yet.
std::int64_t Postgres::sign() {
  const std::string text = connection_->quote(writer_);
  return exec("INSERT INTO ft_commits (writer, number) VALUES (" + text +
              ", 0) ON CONFLICT (writer) DO UPDATE SET writer = excluded.writer RETURNING number")[0][0]
      .as<std::int64_t>();
}

// Before anything can fail: what begins again must not be taken for the transaction before.
void Postgres::begin() {
  ++number_;
  open_transaction();
}

bool Postgres::begin_again() {
  open_transaction();
  if (sign() != number_) return false;
  rollback();
  return true;
}

void Postgres::open_transaction() {
  connect();
  if (writer_.empty()) {
    exec("BEGIN");  // two that make one table at once get in each other's way
    lock();
    exec("CREATE TABLE IF NOT EXISTS ft_commits (writer TEXT PRIMARY KEY, number BIGINT NOT NULL)");
    exec("COMMIT");
    writer_ = exec("SELECT gen_random_uuid()")[0][0].c_str();
  }
  try {
    exec("BEGIN");
  } catch (const DatabaseFault&) {  // the connection broke while nobody used it; the server may be there
    connect();
    exec("BEGIN");
  }
  in_transaction_ = true;
}

void Postgres::commit() {
  exec("INSERT INTO ft_commits (writer, number) VALUES (" + connection_->quote(writer_) + ", " +
       std::to_string(number_) + ") ON CONFLICT (writer) DO UPDATE SET number = excluded.number");
  exec("COMMIT");
  in_transaction_ = false;
}

void Postgres::rollback() noexcept {
  in_transaction_ = false;
  try {
    session_->exec("ROLLBACK");
  } catch (const std::exception&) {  // the connection is gone, and the transaction with it
  }
}

bool Postgres::has_table(const std::string& name) {
  connect();
  const SqlValue value = name;
  return !exec_kept("SELECT 1 FROM pg_class WHERE oid = to_regclass(quote_ident(?1)) AND relkind = 'r'", {&value, 1})
              .empty();
}

}  // namespace

std::unique_ptr<SqlConnection> open_postgres(const std::string& url, Access access) {
  return std::make_unique<Postgres>(url, access);
}

}  // namespace finetune
