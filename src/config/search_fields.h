// Keys with free names: search.PARAMETER, the options beside the name of tune.sampler and tune.scheduler, and the
// trials of tune.enqueue.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "config/fields.h"

namespace finetune {

/// search, or search.NAME. False when `key` is neither.
bool set_search_key(RunConfig& config, const std::string& key, const ConfigNode& node);
/// tune.sampler.OPTION and tune.scheduler.OPTION (for --set). False when `key` is neither.
bool set_tuner_part_key(RunConfig& config, const std::string& key, const ConfigNode& node);

/// A field that takes {name: X, option: value, ...} or just the name.
Field tuner_part_field(const std::string& key, const std::string& help,
                       const std::function<std::optional<TunerPart>&(RunConfig&)>& at);

/// tune.enqueue: a list of maps of searched keys to values, tried before the sampler's own.
Field enqueue_field();

/// The search space as a map node, for printing.
ConfigNode search_node(const std::vector<SearchParameter>& search);

}  // namespace finetune
