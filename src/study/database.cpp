#include "study/database.h"

#include <span>

#include "core/database_url.h"

namespace finetune {

Database::Database(const std::filesystem::path& place, Access access, std::chrono::milliseconds patience)
    : place_(without_password(place.string())),
      connection_(is_database_url(place.string()) ? open_postgres(place.string(), access)
                                                  : open_sqlite(place, access, patience)) {}

std::vector<SqlRow> Database::run(Sql statement, std::initializer_list<SqlValue> values) {
  std::vector<SqlRow> rows;
  each(statement, values, [&](const SqlRow& row) { rows.push_back(row); });
  return rows;
}

void Database::each(Sql statement, std::initializer_list<SqlValue> values,
                    const std::function<void(const SqlRow&)>& visit) {
  connection_->each(statement.text, std::span(values.begin(), values.size()), visit);
}

Transaction::~Transaction() {
  if (open_) connection_.rollback();
}

void Transaction::commit() {
  connection_.commit();
  open_ = false;
}

Database opened(const std::filesystem::path& place, const OnDiskFault& on_fault, Access access) {
  for (;;) {
    try {
      return Database(place, access);
    } catch (const DatabaseFault& fault) {
      if (!on_fault || !on_fault({.path = without_password(place.string()), .code = fault.code()})) throw;
    }
  }
}

void transact(Database& database, const OnDiskFault& on_fault, const std::function<void()>& work) {
  SqlConnection& connection = *database.connection_;
  for (bool again = false;; again = true) {
    try {
      if (again && connection.begin_again()) return;
      if (!again) connection.begin();
      Transaction transaction(connection);
      work();
      return transaction.commit();
    } catch (const DatabaseFault& fault) {
      if (!on_fault || !on_fault({.path = database.place(), .code = fault.code()})) throw;
    }
  }
}

}  // namespace finetune
