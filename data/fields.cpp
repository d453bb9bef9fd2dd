#include "data/fields.h"

#include "core/error.h"
#include "core/text.h"

namespace finetune {

using Json = nlohmann::ordered_json;

std::string column_of(const DataOptions& options, const std::string& field) {
  for (const auto& [name, column] : options.fields) {
    if (name == field) return column;
  }
  return field;
}

std::vector<std::string> columns_of(const Json& record) {
  std::vector<std::string> names;
  for (const auto& [name, value] : record.items()) names.push_back(name);
  return names;
}

const Json& field(const Json& record, const DataOptions& options, const std::string& name) {
  const std::string column = column_of(options, name);
  if (!record.contains(column))
    throw bad_input("", "field " + column + " is missing; the record has " + join(columns_of(record), ", "));
  return record[column];
}

std::string text_of(const Json& value, const std::string& column) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number() || value.is_boolean()) return value.dump();
  throw bad_input("", "field " + column + " is not a text");
}

std::string text_field(const Json& record, const DataOptions& options, const std::string& name) {
  return text_of(field(record, options, name), column_of(options, name));
}

std::string optional_text(const Json& record, const DataOptions& options, const std::string& name) {
  const std::string column = column_of(options, name);
  return record.contains(column) && !record[column].is_null() ? text_of(record[column], column) : "";
}

bool is_empty_value(const Json& value) {
  return value.is_null() || (value.is_string() && value.get_ref<const std::string&>().empty()) ||
         (value.is_structured() && value.empty());
}

}  // namespace finetune
