// From the command line to a checked configuration, before anything else of a verb begins.
#pragma once

#include <string>
#include <vector>

#include "cli/arguments.h"
#include "config/run_config.h"

namespace finetune {

/// Loads and validates the configuration. A required key of the verb that is missing is reported, by its flag, before
/// any key's value. `asktell`: search parameters may have any name.
RunConfig prepare_config(const Arguments& arguments, bool asktell = false);

/// That every key given on the command line begins with one of these: what a verb would ignore is refused. A
/// configuration file may hold more, since it is a run's.
void require_meaning(const Arguments& arguments, const std::vector<std::string>& beginnings);

}  // namespace finetune
