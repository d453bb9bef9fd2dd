// Every key of the configuration, once: name, help, how it is set from a node (with its check) and printed back.
// YAML, --set, flags, --help, validation and run.yaml are all driven by this list.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "config/node.h"
#include "config/run_config.h"

namespace finetune {

struct Field {
  std::string key;   ///< dotted: train.lora.rank
  std::string help;  ///< one line; allowed values and default included
  /// Throws Error (bad_input, no location) for a wrong type or value.
  std::function<void(RunConfig&, const ConfigNode&)> set;
  /// Nothing: absent, not printed.
  std::function<std::optional<ConfigNode>(const RunConfig&)> get;
  bool text = false;  ///< holds any text: `--set data.prompt={question}` is taken as it stands
};

const std::vector<Field>& config_fields();

/// Whether the key is one that holds any text.
bool is_text_key(const std::string& key);

/// Sets one dotted key, keys below search., tune.sampler. and tune.scheduler. included, and remembers it as given.
/// Throws Error with the node's place; an unknown key names the nearest one.
void set_key(RunConfig& config, const std::string& key, const ConfigNode& node);

/// Whether a key is as it is by itself; a run's own run.yaml gives every key, most of them so.
bool is_default(const RunConfig& config, const std::string& key);

}  // namespace finetune
