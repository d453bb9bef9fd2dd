// Validation data that a model has seen in training says nothing about new data.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace finetune {

/// Examples of `valid` whose token ids also are an example of `train`.
std::int64_t count_shared(const Examples& train, const Examples& valid);

/// A warning in one line; "" for none.
std::string shared_warning(std::int64_t shared, std::size_t valid);
/// The same of test examples; `seen`: "training" or "validation".
std::string test_warning(std::int64_t shared, std::size_t test, const std::string& seen);

/// All of them: of validation and test data that are in training data, and test data in validation data.
std::vector<std::string> shared_warnings(const Examples& train, const Examples& valid, const Examples& test);

}  // namespace finetune
