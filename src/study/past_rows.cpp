#include "study/past_rows.h"

#include "core/database_url.h"
#include "core/error.h"
#include "core/files.h"
#include "core/text.h"

namespace finetune {
namespace {

const char* type_of(const SqlValue& value) {
  constexpr const char* kTypes[] = {"nothing", "a whole number", "a real number", "a text"};
  return kTypes[value.index()];
}

}  // namespace

std::string PastRow::where() const {
  const auto* id = row_.empty() ? nullptr : std::get_if<std::int64_t>(&row_[0]);
  return file_ + ": " + table_ + (id == nullptr ? "" : ", row " + std::to_string(*id));
}

void PastRow::refuse(const std::string& what) const {
  throw bad_input(where(), what);
}

bool PastRow::is_null(std::size_t column) const {
  return std::holds_alternative<std::monostate>(row_.at(column));
}

std::int64_t PastRow::whole(std::size_t column, const char* name) const {
  if (const auto* value = std::get_if<std::int64_t>(&row_.at(column))) return *value;
  refuse(std::string(name) + " is " + type_of(row_[column]) + ", not a whole number");
}

double PastRow::number(std::size_t column, const char* name) const {
  if (const auto* value = std::get_if<double>(&row_.at(column))) return *value;
  if (const auto* value = std::get_if<std::int64_t>(&row_[column])) return static_cast<double>(*value);
  refuse(std::string(name) + " is " + type_of(row_[column]) + ", not a number");
}

const std::string& PastRow::text(std::size_t column, const char* name) const {
  const auto* value = std::get_if<std::string>(&row_.at(column));
  if (value == nullptr) refuse(std::string(name) + " is " + type_of(row_[column]) + ", not a text");
  if (!is_utf8(*value)) refuse(std::string(name) + " is not UTF-8");
  return *value;
}

PastTables::PastTables(const std::string& file) : file_(without_password(file)), database_(file, Access::read) {}

void PastTables::require_table(const char* name) {
  if (!database_.has_table(name))
    throw bad_input(file_, std::string("is no database of Optuna: there is no table ") + name);
}

void PastTables::each(const char* table, Sql statement, std::initializer_list<SqlValue> values, std::int64_t most,
                      const std::function<void(const PastRow&)>& visit) {
  std::int64_t seen = 0;
  database_.each(statement, values, [&](const SqlRow& row) {
    if (++seen > most)
      throw bad_input(file_,
                      std::string(table) + " has more than " + with_commas(most) + " rows, the most that are read");
    visit(PastRow(file_, table, row));
  });
}

}  // namespace finetune
