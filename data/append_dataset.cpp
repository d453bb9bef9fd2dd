#include <algorithm>
#include <iterator>
#include <utility>

#include "data/dataset.h"

namespace finetune {
namespace {

template <typename Value>
void move_behind(std::vector<Value>& all, std::vector<Value>& more) {
  all.insert(all.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

// "messages and text", each once.
void also(std::string& all, const std::string& more) {
  if (all.empty())
    all = more;
  else if (!more.empty() && (" and " + all + " and ").find(" and " + more + " and ") == std::string::npos)
    all += " and " + more;
}

void add_role(std::vector<RoleCount>& roles, const RoleCount& role) {
  const auto found = std::ranges::find(roles, role.role, &RoleCount::role);
  if (found == roles.end()) return roles.push_back(role);
  found->tokens += role.tokens;
  found->loss_tokens += role.loss_tokens;
}

}  // namespace

void append(Dataset& all, Dataset more) {
  const auto files = static_cast<std::int32_t>(all.files.size());
  for (Example& example : more.examples) example.file += files;
  for (DataPart& part : more.parts) part.end_file += files;
  move_behind(all.files, more.files);
  move_behind(all.parts, more.parts);
  move_behind(all.examples, more.examples);
  move_behind(all.rejects, more.rejects);
  for (auto count : {&Dataset::records, &Dataset::tokens, &Dataset::loss_tokens, &Dataset::truncated,
                     &Dataset::dropped_long, &Dataset::dropped_no_loss, &Dataset::straddling})
    all.*count += more.*count;
  for (const std::string& column : more.unused_columns) {
    if (std::ranges::count(all.unused_columns, column) == 0) all.unused_columns.push_back(column);
  }
  also(all.format, more.format);
  also(all.format_reason, more.format_reason);
  also(all.chat_template, more.chat_template);
  all.reads_date = all.reads_date || more.reads_date;
  for (const RoleCount& role : more.roles) add_role(all.roles, role);
}

std::vector<std::int64_t> part_sizes(const Dataset& data) {
  if (data.parts.empty()) return {std::ssize(data.examples)};
  std::vector<std::int64_t> sizes(data.parts.size(), 0);
  std::size_t part = 0;  // examples are in the order of their files
  for (const Example& example : data.examples) {
    while (example.file >= data.parts[part].end_file) ++part;
    ++sizes[part];
  }
  return sizes;
}

std::vector<std::string> part_names(const Dataset& data) {
  std::vector<std::string> names;
  for (const DataPart& part : data.parts) names.resize(static_cast<std::size_t>(part.end_file), part.name);
  return names;
}

}  // namespace finetune
