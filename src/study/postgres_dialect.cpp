#include "study/postgres_dialect.h"

#include <cctype>
#include <utility>

namespace finetune {
namespace {

// The longer name first: it ends with the shorter one.
constexpr std::pair<std::string_view, std::string_view> kTypes[] = {
    {"intermediate_value_type VARCHAR(7)", "intermediate_value_type trialintermediatevaluetype"},
    {" value_type VARCHAR(7)", " value_type trialvaluetype"},
    {"direction VARCHAR(8)", "direction studydirection"},
    {"state VARCHAR(8)", "state trialstate"},
    {" DATETIME", " TIMESTAMP"}};

constexpr std::string_view kEnumerations = R"(
CREATE TYPE studydirection AS ENUM ('NOT_SET', 'MINIMIZE', 'MAXIMIZE');
CREATE TYPE trialstate AS ENUM ('RUNNING', 'COMPLETE', 'PRUNED', 'FAIL', 'WAITING');
CREATE TYPE trialvaluetype AS ENUM ('FINITE', 'INF_POS', 'INF_NEG');
CREATE TYPE trialintermediatevaluetype AS ENUM ('FINITE', 'INF_POS', 'INF_NEG', 'NAN');
)";

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
}

// A column that is its table's key alone counts by itself, which in SQLite every whole number does.
void count_keys(std::string& text) {
  constexpr std::string_view kKey = "PRIMARY KEY (", kWhole = " INTEGER NOT NULL", kSerial = " SERIAL NOT NULL";
  for (std::size_t at = text.find(kKey); at != std::string::npos; at = text.find(kKey, at + 1)) {
    const std::size_t begin = at + kKey.size(), end = text.find(')', begin);
    const std::string column = "\n  " + text.substr(begin, end - begin) + std::string(kWhole);
    const std::size_t table = text.rfind("CREATE TABLE", at), found = text.find(column, table);
    if (found == std::string::npos || found > at) continue;
    text.replace(found + column.size() - kWhole.size(), kWhole.size(), kSerial);
  }
}

}  // namespace

std::string postgres_statement(std::string_view statement) {
  constexpr std::string_view kNumbered = "SELECT rowid, ";
  std::string text;
  char quote = 0;
  if (statement.starts_with(kNumbered)) {
    text = "SELECT row_number() OVER (), ";
    statement.remove_prefix(kNumbered.size());
  }
  for (std::size_t i = 0; i < statement.size(); ++i) {
    const char c = statement[i];
    if (quote != 0) {
      if (c == quote) quote = 0;
    } else if (c == '\'' || c == '"') {
      quote = c;
    }
    const bool value = quote == 0 && c == '?' && i + 1 < statement.size() &&
                       std::isdigit(static_cast<unsigned char>(statement[i + 1])) != 0;
    text += value ? '$' : c;
  }
  return text;
}

std::string postgres_schema(std::string_view schema) {
  std::string text(schema);
  for (const auto& [from, to] : kTypes) replace_all(text, from, to);
  count_keys(text);
  const bool is_optunas = text.find("trialstate") != std::string::npos;
  return (is_optunas ? std::string(kEnumerations) : "") + text;
}

}  // namespace finetune
