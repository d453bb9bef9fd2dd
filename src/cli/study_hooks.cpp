#include "cli/study_hooks.h"

#include <filesystem>

#include "cli/interrupt.h"
#include "core/error.h"
#include "host/run_paths.h"

namespace finetune {

std::unique_ptr<StateTrace> open_trace(const Arguments& arguments) {
  const std::string file = arguments.option("--trace-state");
  if (file.empty()) return nullptr;
  if (std::filesystem::exists(file)) throw bad_input(file, "--trace-state exists; choose another file");
  check_output_file("--trace-state", file);
  return std::make_unique<StateTrace>(file);
}

StudyHooks study_hooks(Progress& progress, StateTrace* trace) {
  StudyHooks hooks = progress.hooks(InterruptGuard::requested);
  if (trace != nullptr) hooks.savers.push_back(trace);
  return hooks;
}

}  // namespace finetune
