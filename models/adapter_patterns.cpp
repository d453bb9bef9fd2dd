#include "models/adapter_patterns.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "models/families/config_reader.h"
#include "models/targets.h"

namespace finetune {
namespace {

constexpr const char *kRanks = "rank_pattern", *kAlphas = "alpha_pattern";

// One of the two keys, its patterns compiled.
template <typename T>
class Table {
 public:
  Table(const std::string& where, const char* key, const std::vector<std::pair<std::string, T>>& patterns) {
    for (const auto& [pattern, value] : patterns)
      entries_.emplace_back(path_pattern(where, std::string("key ") + key, "(.*\\.)?(" + pattern + ")"), value);
  }
  /// The entry that holds for a path, or how many there are.
  std::size_t find(const std::string& path) const {
    const auto holds = [&](const auto& entry) { return entry.first(path); };
    return static_cast<std::size_t>(std::ranges::find_if(entries_, holds) - entries_.begin());
  }
  T value_of(const std::string& path, T otherwise) const {
    const std::size_t found = find(path);
    return found < entries_.size() ? entries_[found].second : otherwise;
  }

 private:
  std::vector<std::pair<std::function<bool(const std::string&)>, T>> entries_;
};

template <typename Visit>
void for_each_module(const DecoderOptions& model, ProjectionSet targets, const Visit& visit) {
  for (std::int64_t layer = 0; layer < model.layers; ++layer) {
    for (const Projection p : targets.members()) visit(layer, p, projection_path(model, layer, p));
  }
}

template <typename T>
void add_idle(const std::string& where, const char* key, const std::vector<std::pair<std::string, T>>& patterns,
              ProjectionSet targets, const DecoderOptions& model, std::vector<std::string>& idle) {
  const Table<T> table(where, key, patterns);
  std::vector<bool> used(patterns.size() + 1, false);
  for_each_module(model, targets,
                  [&](std::int64_t, Projection, const std::string& path) { used[table.find(path)] = true; });
  for (std::size_t i = 0; i < patterns.size(); ++i) {
    if (!used[i]) idle.push_back(std::string(key) + " " + patterns[i].first);
  }
}

}  // namespace

double adapter_scale(double alpha, std::int64_t rank, bool rslora) {
  const auto r = static_cast<double>(rank);
  return alpha / (rslora ? std::sqrt(r) : r);
}

std::int64_t AdapterPatterns::largest_rank(std::int64_t otherwise) const {
  for (const auto& [pattern, rank] : ranks) otherwise = std::max(otherwise, rank);
  return otherwise;
}

AdapterPatterns read_patterns(const std::string& where, const nlohmann::ordered_json& config) {
  AdapterPatterns patterns;
  const ConfigReader ranks = ConfigReader(where, config).object(kRanks);
  for (const auto& [pattern, value] : ranks.json().items())
    patterns.ranks.emplace_back(pattern, ranks.size(pattern.c_str(), std::nullopt, 1, 65536));
  const ConfigReader alphas = ConfigReader(where, config).object(kAlphas);
  for (const auto& [pattern, value] : alphas.json().items()) {
    const double alpha = alphas.number(pattern.c_str(), std::nan(""));
    alphas.require(std::isfinite(alpha), pattern.c_str(), "must be a finite number");
    patterns.alphas.emplace_back(pattern, alpha);
  }
  return patterns;
}

ModuleRanks module_ranks(const std::string& where, const AdapterPatterns& patterns, const UsualRank& usual,
                         const DecoderOptions& model) {
  if (patterns.empty()) return {};
  const Table<std::int64_t> ranks(where, kRanks, patterns.ranks);
  const Table<double> alphas(where, kAlphas, patterns.alphas);
  ModuleRanks modules(static_cast<std::size_t>(model.layers));
  for_each_module(model, projections_of(model), [&](std::int64_t layer, Projection p, const std::string& path) {
    const std::int64_t rank = ranks.value_of(path, usual.rank);
    modules[static_cast<std::size_t>(layer)][p] = {
        rank, adapter_scale(alphas.value_of(path, usual.alpha), rank, usual.rslora)};
  });
  return modules;
}

std::vector<std::string> idle_patterns(const std::string& where, const AdapterPatterns& patterns, ProjectionSet targets,
                                       const DecoderOptions& model) {
  std::vector<std::string> idle;
  add_idle(where, kRanks, patterns.ranks, targets, model, idle);
  add_idle(where, kAlphas, patterns.alphas, targets, model, idle);
  return idle;
}

}  // namespace finetune
