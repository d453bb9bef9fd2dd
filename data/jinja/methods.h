// Methods of texts, lists and dicts that a sandboxed template may call, and the functions of the environment.
#pragma once

#include <string>

#include "data/jinja/evaluator.h"

namespace finetune::jinja {

struct Method {
  std::string name;
  /// Null: Python has it, but it changes its object or leads out of the sandbox, so a template sees it as undefined.
  Value (*call)(Evaluator& evaluator, const Value& self, const std::string& name, const Arguments& arguments);
};

/// The method of this name that a value has, or null. A dict's methods hide its keys of the same names after a dot.
const Method* find_method(const Value& value, const std::string& name);

/// raise_exception, strftime_now, range, dict, namespace; null for another name.
Callable::Function find_function(const std::string& name);

const Method* find_text_method(const std::string& name);

}  // namespace finetune::jinja
