// The tests of Jinja: what stands after `is`, and what select and reject take by name.
#pragma once

#include <string>

#include "data/jinja/arguments.h"

namespace finetune::jinja {

struct TestEntry {
  std::string name;
  Signature signature;
  bool (*holds)(Evaluator& evaluator, const Value& input, const Bound& arguments);
};

/// Null for a name that is no test.
const TestEntry* find_test(const std::string& name);

}  // namespace finetune::jinja
