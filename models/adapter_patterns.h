// PEFT's rank_pattern and alpha_pattern: modules of an adapter with a rank and an alpha of their own.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

namespace finetune {

class AdapterPatterns {
 public:
  /// Of an adapter_config.json. Throws Error (bad_input) naming `where` and the key.
  AdapterPatterns(const std::string& where, const nlohmann::ordered_json& config);

  bool empty() const { return ranks_.empty() && alphas_.empty(); }
  /// As PEFT looks them up: the first key that, as a pattern, matches the path or its end behind a dot.
  std::int64_t rank_of(const std::string& path, std::int64_t otherwise) const;
  double alpha_of(const std::string& path, double otherwise) const;

 private:
  template <typename T>
  using Table = std::vector<std::pair<std::function<bool(const std::string&)>, T>>;
  Table<std::int64_t> ranks_;
  Table<double> alphas_;
};

}  // namespace finetune
