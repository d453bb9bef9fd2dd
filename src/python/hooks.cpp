#include "python/hooks.h"

#include <utility>

#include "config/params.h"
#include "core/error.h"
#include "engine/study_state.h"
#include "python/words.h"

namespace finetune::python {

std::unique_ptr<const InterruptGuard> guard_of(const Callbacks& callbacks, std::string_view ending) {
  if (!callbacks.signals) return nullptr;
  return std::make_unique<const InterruptGuard>(
      ending, callbacks.notebook ? InterruptGuard::Second::is_one_too_many : InterruptGuard::Second::ends_process);
}

PythonHooks::PythonHooks(Callbacks callbacks, std::optional<RunConfig> config)
    : callbacks_(std::move(callbacks)),
      config_(std::move(config)),
      guard_(guard_of(callbacks_)),
      progress_(progress_options()) {}

// The thread of the display may wait for the GIL.
PythonHooks::~PythonHooks() {
  const nb::gil_scoped_release others;
  progress_.end();
}

// Nothing may pass through the engine: what Python raises is kept, and ends the study after the round.
template <typename Call>
void PythonHooks::guarded(const Call& call) {
  if (has_raised_) return;
  const nb::gil_scoped_acquire gil;
  try {
    call();
  } catch (...) {
    const std::lock_guard lock(mutex_);
    if (!raised_) raised_ = std::current_exception();
    has_raised_ = true;
  }
}

ProgressOptions PythonHooks::progress_options() {
  ProgressOptions options{.terminal = callbacks_.terminal, .put = [this](const std::string& text) {
                            if (callbacks_.put.is_none()) return;
                            guarded([&] { callbacks_.put(in_words_of_python(text)); });
                          }};
  if (!callbacks_.bar.is_none())
    options.bar = [this](double share, const std::string& status) { guarded([&] { callbacks_.bar(share, status); }); };
  return options;
}

StudyHooks PythonHooks::hooks() {
  StudyHooks hooks = progress_.hooks([this] { return has_raised_ || (guard_ && InterruptGuard::requested()); });
  hooks.observers.push_back(this);
  if (!callbacks_.on_step.is_none())
    hooks.on_step = [this](std::span<const Report> reports, std::vector<Action>& actions) {
      on_step(reports, actions);
    };
  return hooks;
}

void PythonHooks::on_start(const Trial& trial) {
  known_.insert(trial.id);
}

void PythonHooks::on_resume(const StudyState& state) {
  for (const Trial& trial : state.trials) known_.insert(trial.id);
}

void PythonHooks::on_step(std::span<const Report> reports, std::vector<Action>& actions) {
  guarded([&] {
    const nb::object answer = callbacks_.on_step(Reports{{reports.begin(), reports.end()}, objects_});
    actions = actions_from(answer, [this](const Action& action) { check(action); });
  });
}

void PythonHooks::check(const Action& action) const {
  for (const TrialId id : {action.trial, action.from}) {
    if (id.value >= 0 && !known_.contains(id))
      throw bad_input("", "on_step: there is no trial " + std::to_string(id.value));
  }
  for (const auto& [name, value] : action.params) {
    if (!may_change_during_training(name) && action.what == Action::Do::change)
      throw bad_input("", "on_step: " + name + " cannot change while a trial is trained");
  }
  if (config_ && !action.params.empty()) configure_trial(*config_, action.params);
}

void PythonHooks::rethrow() {
  if (raised_) std::rethrow_exception(raised_);
}

}  // namespace finetune::python
