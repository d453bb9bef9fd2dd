// Checks that come before a verb begins: what is missing, and the paths. In the order of the contract.
#pragma once

#include <string>
#include <vector>

#include "cli/arguments.h"
#include "config/run_config.h"

namespace finetune {

/// Loads and validates the configuration. `required`: keys that must be there (model.path, data.train, run.out); a
/// missing one is reported, by its flag, before any key's value.
RunConfig prepare_config(const Arguments& arguments, const std::vector<std::string>& required, bool asktell = false);

/// Paths in the order model, adapter, data, out. `out` is refused when it exists and is not empty, unless `overwrite`;
/// nothing is created.
void check_paths(const RunConfig& config, bool wants_out, bool overwrite);

/// Creates the output folder, empty (with --overwrite what was there goes first).
void make_out(const std::string& out);

}  // namespace finetune
