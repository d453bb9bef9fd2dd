#include "data/shared_examples.h"

#include <iterator>
#include <unordered_map>

#include "core/text.h"

namespace finetune {

// By hash first: the ids of what is not shared are never looked at.
std::int64_t count_shared(const Examples& train, const Examples& valid) {
  std::unordered_multimap<std::uint64_t, std::size_t> held_out;
  for (auto example = valid.begin(); example != valid.end(); ++example)
    held_out.emplace(example.hash(), example.index());
  std::int64_t shared = 0;
  for (auto example = train.begin(); example != train.end(); ++example) {
    const auto [begin, end] = held_out.equal_range(example.hash());
    for (auto same = begin; same != end;) {
      const bool equal = (*example).ids == valid[same->second].ids;
      shared += equal ? 1 : 0;
      same = equal ? held_out.erase(same) : std::next(same);  // each counts once
    }
  }
  return shared;
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

std::vector<std::string> shared_warnings(const Examples& train, const Examples& valid, const Examples& test) {
  std::vector<std::string> warnings{shared_warning(count_shared(train, valid), valid.size()),
                                    test_warning(count_shared(train, test), test.size(), "training"),
                                    test_warning(count_shared(valid, test), test.size(), "validation")};
  std::erase(warnings, "");
  return warnings;
}

}  // namespace finetune
