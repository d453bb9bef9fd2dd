// Python's values of hyperparameters as ours.
#pragma once

#include "core/value.h"
#include "python/bindings.h"

namespace finetune::python {

/// A dict of bool, int, float and str by name. Throws Error (bad_input) naming `what` and the key. Needs the GIL.
Params params_from(nb::handle dict, const char* what);

}  // namespace finetune::python
