// What on_step sees of a round, and what it answers.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "core/trial.h"
#include "python/bindings.h"

namespace finetune::python {

/// The reports of one round, copied: a callback may keep them. Objects are made where somebody looks.
struct Reports {
  std::vector<Report> rows;
};

/// Refuses an action that cannot be carried out: throws Error (bad_input).
using CheckAction = std::function<void(const Action&)>;

/// What a callback returned: None, or an iterable of Action or of dicts with asktell's fields. Throws Error (bad_input)
/// naming the entry that is none, or what `check` throws. Needs the GIL.
std::vector<Action> actions_from(nb::handle answer, const CheckAction& check);

}  // namespace finetune::python
