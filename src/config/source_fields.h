// Entries of data.train and data.valid: a path, or {path, weight, name}; and data.weights, the weights by name.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "config/fields.h"

namespace finetune {

/// A list of entries. `weighted`: they may have a weight.
Field sources_field(const std::string& key, const std::string& help, bool weighted,
                    const std::function<std::vector<DataSource>&(RunConfig&)>& at);

/// data.weights as a whole.
Field weights_field();

/// data.weights.NAME. False when `key` is another.
bool set_weight_key(RunConfig& config, const std::string& key, const ConfigNode& node);

/// Throws Error (bad_input) for a name that two entries have, and for weights of a name that no entry of data.train
/// has.
void check_sources(const RunConfig& config);

}  // namespace finetune
