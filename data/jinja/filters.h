// The filters of Jinja, as a table: text_filters.cpp and list_filters.cpp.
#pragma once

#include <span>
#include <string>

#include "data/jinja/arguments.h"

namespace finetune::jinja {

struct FilterEntry {
  std::string name;
  Signature signature;
  Value (*apply)(Evaluator& evaluator, const Value& input, const Bound& arguments);
};

/// Null for a name that is no filter.
const FilterEntry* find_filter(const std::string& name);

std::span<const FilterEntry> text_filters();
std::span<const FilterEntry> number_filters();
std::span<const FilterEntry> list_filters();
std::span<const FilterEntry> choice_filters();

}  // namespace finetune::jinja
