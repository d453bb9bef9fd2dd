// From the command line to a checked configuration, before anything else of a verb begins.
#pragma once

#include <string>
#include <vector>

#include "cli/arguments.h"
#include "config/run_config.h"

namespace finetune {

/// Loads and validates the configuration. `required`: keys that must be there (model.path, data.train, run.out); a
/// missing one is reported, by its flag, before any key's value.
RunConfig prepare_config(const Arguments& arguments, const std::vector<std::string>& required, bool asktell = false);

}  // namespace finetune
