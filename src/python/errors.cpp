#include "core/error.h"
#include "python/bindings.h"
#include "python/words.h"

namespace finetune::python {
namespace {

const char* kind_of(const Error& error) {
  switch (error.kind()) {
    case ErrorKind::bad_input:
      return "bad_input";
    case ErrorKind::failed:
      return "failed";
    case ErrorKind::interrupted:
      return "interrupted";
  }
  return "failed";
}

// The classes are Python's own (finetune_tune/errors.py), so that they have signatures and documentation there.
nb::object raised(const char* name) {
  return nb::module_::import_("finetune_tune.errors").attr(name);
}

void translate(const std::exception_ptr& thrown, void*) {
  try {
    std::rethrow_exception(thrown);
  } catch (const Error& error) {
    nb::object value = raised("Error")(in_words_of_python(error.what()), kind_of(error));
    PyErr_SetObject(raised("Error").ptr(), value.ptr());
  } catch (const Interrupted&) {
    nb::object value = raised("Interrupted")("interrupted before there was anything to keep");
    PyErr_SetObject(raised("Interrupted").ptr(), value.ptr());
  }
}

}  // namespace

void bind_errors(nb::module_&) {
  nb::register_exception_translator(translate);
}

}  // namespace finetune::python
