// Validation data that a model has seen in training says nothing about new data.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace finetune {

/// Examples of `valid` whose token ids also are an example of `train`.
std::int64_t count_shared(const std::vector<Example>& train, const std::vector<Example>& valid);

/// A warning in one line; "" for none.
std::string shared_warning(std::int64_t shared, std::size_t valid);
/// The same of test examples; `seen`: "training" or "validation".
std::string test_warning(std::int64_t shared, std::size_t test, const std::string& seen);

}  // namespace finetune
