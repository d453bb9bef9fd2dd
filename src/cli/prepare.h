// From the command line to a checked configuration, before anything else of a verb begins.
#pragma once

#include "cli/arguments.h"
#include "config/run_config.h"

namespace finetune {

/// Loads and validates the configuration. A required key of the verb that is missing is reported, by its flag, before
/// any key's value. `asktell`: search parameters may have any name.
RunConfig prepare_config(const Arguments& arguments, bool asktell = false);

}  // namespace finetune
