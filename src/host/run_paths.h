// The paths of a run: checked before anything is opened, and the output folder made.
#pragma once

#include <string>

#include "config/run_config.h"

namespace finetune {

/// Paths in the order model, adapter, data, out. `out` is refused when it exists and is not empty, unless `overwrite`;
/// nothing is created.
void check_paths(const RunConfig& config, bool wants_out, bool overwrite);

/// Creates the output folder, empty (with --overwrite what was there goes first).
void make_out(const std::string& out);

}  // namespace finetune
