// Reading, checking and printing whole configurations.
#pragma once

#include <string>
#include <vector>

#include "config/run_config.h"

namespace finetune {

/// Where a configuration comes from. Later wins: file, text, then settings in order.
struct ConfigSources {
  std::string file;                                           ///< --config; "" = none
  std::string text = {};                                      ///< of a program: JSON; messages name its keys alone
  std::vector<std::pair<std::string, std::string>> settings;  ///< --set a.b=v and the shorthand flags, as key and text
  std::vector<std::pair<std::string, std::vector<std::string>>>
      lists;  ///< repeated flags: data.train, data.valid, run.devices
};

/// Throws Error (bad_input) naming file:line or --set, and the key.
RunConfig load_config(const ConfigSources& sources);

/// Checks between keys that a single key's check cannot see. `asktell`: search parameters may have any name.
void validate(const RunConfig& config, bool asktell = false);

/// As YAML: reading it back gives the same configuration.
std::string to_yaml(const RunConfig& config);

}  // namespace finetune
