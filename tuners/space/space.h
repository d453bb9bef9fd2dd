// Search spaces: named parameters, conditional ones included, and their encoding.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/random.h"
#include "core/value.h"

namespace finetune {

/// One parameter: a categorical (choices) or a range.
struct ParameterSpec {
  std::string name;
  std::vector<Value> choices;     ///< not empty: categorical
  double low = 0, high = 0;
  bool log = false, integer = false;
  std::optional<double> step;     ///< values are low + k x step, up to high
  std::vector<std::pair<std::string, std::vector<Value>>> when;  ///< all must hold; each names an earlier parameter
};

struct SearchSpace {
  std::vector<ParameterSpec> parameters;
};

}  // namespace finetune
