// What a statement for SQLite is called in PostgreSQL. Plain functions on text; everything else of the two is alike in
// the statements that this program has.
#pragma once

#include <string>
#include <string_view>

namespace finetune {

/// Values: ?1 becomes $1; marks within quotes stay. A rowid that is selected first is the row's place in the answer.
std::string postgres_statement(std::string_view statement);

/// CREATE TABLE of Optuna's tables and our own, as Optuna creates its in PostgreSQL: keys count by themselves, states
/// and kinds of values are enumerations (with the statements that make these), times are TIMESTAMP.
std::string postgres_schema(std::string_view schema);

}  // namespace finetune
