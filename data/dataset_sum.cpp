#include "data/dataset_sum.h"

#include <algorithm>
#include <utility>

namespace finetune {
namespace {

// "messages and text", each once.
void also(std::string& all, const std::string& more) {
  if (all.empty())
    all = more;
  else if (!more.empty() && (" and " + all + " and ").find(" and " + more + " and ") == std::string::npos)
    all += " and " + more;
}

}  // namespace

void add_role(std::vector<RoleCount>& roles, const RoleCount& role) {
  const auto found = std::ranges::find(roles, role.role, &RoleCount::role);
  if (found == roles.end()) return roles.push_back(role);
  found->tokens += role.tokens;
  found->loss_tokens += role.loss_tokens;
}

void add_column(std::vector<std::string>& columns, std::string column) {
  if (std::ranges::find(columns, column) == columns.end()) columns.push_back(std::move(column));
}

void add_counts(Dataset& all, const Dataset& more, std::int32_t files) {
  for (const auto count : {&Dataset::records, &Dataset::tokens, &Dataset::loss_tokens, &Dataset::truncated,
                           &Dataset::dropped_long, &Dataset::dropped_no_loss, &Dataset::straddling})
    all.*count += more.*count;
  for (const Reject& reject : more.rejects) all.rejects.push_back({reject.file + files, reject.line, reject.reason});
  for (const std::string& column : more.unused_columns) add_column(all.unused_columns, column);
  for (const RoleCount& role : more.roles) add_role(all.roles, role);
}

void append(Dataset& all, Dataset more) {
  const auto files = static_cast<std::int32_t>(all.files.size());
  for (DataPart& part : more.parts) {
    part.end_file += files;
    all.parts.push_back(std::move(part));
  }
  for (std::string& file : more.files) all.files.push_back(std::move(file));
  all.examples.append(more.examples, files);
  add_counts(all, more, files);
  also(all.format, more.format);
  also(all.format_reason, more.format_reason);
  also(all.chat_template, more.chat_template);
  all.reads_date = all.reads_date || more.reads_date;
}

std::vector<std::int64_t> part_sizes(const Dataset& data) {
  if (data.parts.empty()) return {std::ssize(data.examples)};
  std::vector<std::int64_t> sizes(data.parts.size(), 0);
  std::size_t part = 0;  // examples are in the order of their files
  for (auto example = data.examples.begin(); example != data.examples.end(); ++example) {
    while (example.file() >= data.parts[part].end_file) ++part;
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
