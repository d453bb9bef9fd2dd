// What on_step sees of a round, and what it answers.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "core/trial.h"
#include "python/bindings.h"

namespace finetune::python {

/// Python's objects of reports, by place in a round. One that nobody has kept stands for the next round's report: to
/// make sixty-four takes longer than to read them. Needs the GIL.
class ReportObjects {
 public:
  nb::object of(std::size_t place, const Report& report);

 private:
  std::vector<nb::object> objects_;
};

/// The reports of one round, copied: a callback may keep them. Objects are made where somebody looks.
struct Reports {
  std::vector<Report> rows;
  std::shared_ptr<ReportObjects> objects;
};

/// Refuses an action that cannot be carried out: throws Error (bad_input).
using CheckAction = std::function<void(const Action&)>;

/// What a callback returned: None, or an iterable of dicts with asktell's fields. Throws Error (bad_input)
/// naming the entry that is none, or what `check` throws. Needs the GIL.
std::vector<Action> actions_from(nb::handle answer, const CheckAction& check);

}  // namespace finetune::python
