#include "models/adapter_patterns.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "models/families/config_reader.h"
#include "models/targets.h"

namespace finetune {
namespace {

// visit(matches, the pattern's value) for each pattern of a key.
template <typename Visit>
void for_each_pattern(const std::string& where, const nlohmann::ordered_json& config, const char* key,
                      const Visit& visit) {
  const ConfigReader patterns = ConfigReader(where, config).object(key);
  for (const auto& [pattern, value] : patterns.json().items())
    visit(path_pattern(where, std::string("key ") + key, "(.*\\.)?(" + pattern + ")"), patterns, pattern);
}

}  // namespace

AdapterPatterns::AdapterPatterns(const std::string& where, const nlohmann::ordered_json& config) {
  for_each_pattern(where, config, "rank_pattern", [&](auto matches, const ConfigReader& all, const std::string& name) {
    ranks_.emplace_back(std::move(matches), all.size(name.c_str(), std::nullopt, 1, 65536));
  });
  for_each_pattern(where, config, "alpha_pattern", [&](auto matches, const ConfigReader& all, const std::string& name) {
    const double alpha = all.number(name.c_str(), std::nan(""));
    all.require(std::isfinite(alpha), name.c_str(), "must be a finite number");
    alphas_.emplace_back(std::move(matches), alpha);
  });
}

std::int64_t AdapterPatterns::rank_of(const std::string& path, std::int64_t otherwise) const {
  for (const auto& [matches, rank] : ranks_) {
    if (matches(path)) return rank;
  }
  return otherwise;
}

double AdapterPatterns::alpha_of(const std::string& path, double otherwise) const {
  for (const auto& [matches, alpha] : alphas_) {
    if (matches(path)) return alpha;
  }
  return otherwise;
}

}  // namespace finetune
