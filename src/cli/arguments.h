// The command line: a verb, its flags, and what they mean. Torch-free, so that a mistake is reported at once.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "cli/verb.h"
#include "config/config.h"

namespace finetune {

struct Arguments {
  Verb verb;
  ConfigSources sources;
  std::map<std::string, std::string> options;  ///< the verb's own flags, by name; a switch that is given has "on"
  bool done = false;                           ///< --help or --version was printed

  /// "" for one that was not given and has no standard.
  std::string option(const std::string& name) const;
  bool has(const std::string& name) const { return !option(name).empty(); }
  bool json() const { return has("--json"); }
  bool overwrite() const { return has("--overwrite"); }
};

/// The verb is the first word; without one it is the first of `verbs`. Throws Error (bad_input) naming the flag. Prints
/// help and version itself.
Arguments parse_arguments(int argc, char** argv, std::span<const Verb> verbs);

}  // namespace finetune
