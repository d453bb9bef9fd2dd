// Values as text: str() and repr() of Python, and json.dumps as transformers sets `tojson` up.
#pragma once

#include <string>

#include "data/jinja/value.h"

namespace finetune::jinja {

std::string repr_of(const Value& value);
/// Where texts stand as they are and undefined is nothing.
std::string text_of(const Value& value);

struct JsonStyle {
  bool ascii = false;
  bool indented = false;
  std::string indent;  ///< once per level, where indented
  std::string item_separator = ", ", key_separator = ": ";
  bool sort_keys = false;
};
/// Faults for values that JSON has no place for.
std::string json_of(const Value& value, const JsonStyle& style);

}  // namespace finetune::jinja
