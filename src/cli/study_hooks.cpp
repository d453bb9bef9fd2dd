#include "cli/study_hooks.h"

#include "cli/interrupt.h"

namespace finetune {

std::unique_ptr<StateTrace> open_trace(const Arguments& arguments) {
  const std::string file = arguments.option("--trace-state");
  return file.empty() ? nullptr : std::make_unique<StateTrace>(file);
}

StudyHooks study_hooks(Progress& progress, StateTrace* trace) {
  StudyHooks hooks = progress.hooks(InterruptGuard::requested);
  if (trace != nullptr) hooks.savers.push_back(trace);
  return hooks;
}

}  // namespace finetune
