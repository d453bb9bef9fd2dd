// What was counted in parts, added up.
#pragma once

#include <string>
#include <vector>

#include "data/dataset.h"

namespace finetune {

/// Counts, roles, columns and rejects of `more`; nothing of its examples, files and format. `files`: is added to the
/// files of the rejects.
void add_counts(Dataset& all, const Dataset& more, std::int32_t files);

/// Each once, in order of appearance.
void add_role(std::vector<RoleCount>& roles, const RoleCount& role);
void add_column(std::vector<std::string>& columns, std::string column);

}  // namespace finetune
