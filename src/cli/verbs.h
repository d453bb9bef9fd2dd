// The verbs of the program. Each is a file verb_NAME.cpp, which defines it, and a line in verbs.cpp.
#pragma once

#include <string>
#include <vector>

#include "cli/arguments.h"

namespace finetune {

/// In the order of --help; the first is the one that runs when none is named.
std::vector<Verb> all_verbs();

/// Runs a verb on sources and options of one's own.
int run_verb(const std::string& name, Arguments arguments);

}  // namespace finetune
