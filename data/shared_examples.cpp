#include "data/shared_examples.h"

#include <algorithm>
#include <set>

#include "core/text.h"

namespace finetune {

std::int64_t count_shared(const std::vector<Example>& train, const std::vector<Example>& valid) {
  std::set<std::vector<std::int32_t>> held_out;  // the smaller of the two
  for (const auto& example : valid) held_out.insert(example.ids);
  std::set<std::vector<std::int32_t>> shared;
  for (const auto& example : train) {
    if (held_out.contains(example.ids)) shared.insert(example.ids);
  }
  return std::count_if(valid.begin(), valid.end(),
                       [&](const Example& example) { return shared.contains(example.ids); });
}

std::string shared_warning(std::int64_t shared, std::size_t valid) {
  if (shared == 0) return "";
  return "warning: " + with_commas(shared) + " of " + with_commas(static_cast<long long>(valid)) +
         " validation examples also occur in training; their loss says nothing about new data";
}

std::string test_warning(std::int64_t shared, std::size_t test, const std::string& seen) {
  if (shared == 0) return "";
  return "warning: " + with_commas(shared) + " of " + with_commas(static_cast<long long>(test)) +
         " test examples also occur in " + seen + " data; they do not say what the winner does on new data";
}

std::vector<std::string> shared_warnings(const std::vector<Example>& train, const std::vector<Example>& valid,
                                         const std::vector<Example>& test) {
  std::vector<std::string> warnings{shared_warning(count_shared(train, valid), valid.size()),
                                    test_warning(count_shared(train, test), test.size(), "training"),
                                    test_warning(count_shared(valid, test), test.size(), "validation")};
  std::erase(warnings, "");
  return warnings;
}

}  // namespace finetune
