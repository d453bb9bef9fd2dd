#include "python/values.h"

#include "core/error.h"

namespace finetune::python {
namespace {

Value value_from(nb::handle value, const std::string& where) {
  if (PyBool_Check(value.ptr())) return nb::cast<bool>(value);
  std::int64_t whole = 0;
  if (PyLong_Check(value.ptr()) && nb::try_cast(value, whole)) return whole;
  if (PyFloat_Check(value.ptr())) return nb::cast<double>(value);
  if (PyUnicode_Check(value.ptr())) return nb::cast<std::string>(value);
  throw bad_input("", where + " must be a number, text or truth value, not " + nb::repr(value).c_str());
}

}  // namespace

Params params_from(nb::handle dict, const char* what) {
  if (!nb::isinstance<nb::dict>(dict))
    throw bad_input("", std::string(what) + " must be a dict of values by name, not " + nb::repr(dict).c_str());
  Params params;
  for (const auto& [key, value] : nb::borrow<nb::dict>(dict)) {
    const std::string name = nb::str(key).c_str();
    params.emplace_back(name, value_from(value, std::string(what) + "[" + name + "]"));
  }
  return params;
}

}  // namespace finetune::python
