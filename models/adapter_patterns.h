// PEFT's rank_pattern and alpha_pattern: modules of an adapter with a rank and an alpha of their own.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

#include "models/decoder_options.h"

namespace finetune {

/// By pattern, in order: the first that matches a module's path, or its end behind a dot, holds for it.
struct AdapterPatterns {
  std::vector<std::pair<std::string, std::int64_t>> ranks;
  std::vector<std::pair<std::string, double>> alphas;

  bool empty() const { return ranks.empty() && alphas.empty(); }
  std::int64_t largest_rank(std::int64_t otherwise) const;
  bool operator==(const AdapterPatterns&) const = default;
};

/// Of an adapter_config.json. Throws Error (bad_input) naming `where` and the key.
AdapterPatterns read_patterns(const std::string& where, const nlohmann::ordered_json& config);

/// What b^T is multiplied by behind a module's a^T, and how many rows of a there are.
struct ModuleRank {
  std::int64_t rank = 0;
  double scale = 0;
  bool operator==(const ModuleRank&) const = default;
};
using ModuleRanks = std::vector<PerProjection<ModuleRank>>;  // by layer

/// Of modules without a pattern.
struct UsualRank {
  std::int64_t rank = 16;
  double alpha = 32;
  bool rslora = false;
};

/// Of every module; empty without patterns. Throws Error (bad_input) naming `where` and the key for a pattern that is
/// none.
ModuleRanks module_ranks(const std::string& where, const AdapterPatterns& patterns, const UsualRank& usual,
                         const DecoderOptions& model);

/// Patterns that hold for none of the adapted modules, each behind its key.
std::vector<std::string> idle_patterns(const std::string& where, const AdapterPatterns& patterns, ProjectionSet targets,
                                       const DecoderOptions& model);

/// What a b^T is multiplied by.
double adapter_scale(double alpha, std::int64_t rank, bool rslora);

}  // namespace finetune
