// Which projections of a model adapters sit on: from train.lora.targets and from an adapter's target_modules.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "models/decoder_options.h"

namespace finetune {

/// all-linear, attention (q k v o), mlp (gate up down), projection names, or re: and a pattern as in target_modules.
/// Throws Error (bad_input) listing the model's projections for another name.
ProjectionSet resolve_targets(const DecoderOptions& model, const std::vector<std::string>& targets);

/// PEFT's target_modules: a list of names, each the whole module path or its end after a dot; or a string, "all-linear"
/// or a regular expression that matches the whole path (Perl's syntax, which covers what such patterns use of
/// Python's). Names that no module has are passed over, as PEFT does;
/// unmatched_modules lists them. Throws Error (bad_input) naming `where` when
/// nothing matches, when a module outside the blocks does, or when a projection matches in some layers only.
ProjectionSet match_target_modules(const std::string& where, const nlohmann::ordered_json& target_modules,
                                   const DecoderOptions& model);

/// Whether a pattern, which is the value of what `key` says, matches a whole module path; matching is bounded. Throws
/// Error (bad_input) naming `where`, also while matching.
std::function<bool(const std::string& path)> path_pattern(const std::string& where, const std::string& key,
                                                          const std::string& pattern);

/// The names of a list that no module of the model has.
std::vector<std::string> unmatched_modules(const nlohmann::ordered_json& target_modules, const DecoderOptions& model);

}  // namespace finetune
