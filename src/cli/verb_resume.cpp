#include "cli/flags.h"
#include "cli/interrupt.h"
#include "cli/progress.h"
#include "cli/show_study.h"
#include "cli/show_train.h"
#include "cli/study_hooks.h"
#include "core/error.h"
#include "host/resume.h"

namespace finetune {
namespace {

int run_resume(const Arguments& arguments) {
  const std::string folder = arguments.option("folder");
  if (folder.empty()) throw bad_input("", "resume needs the folder of a run: finetune_tune resume runs/first");
  const InterruptGuard guard;
  const auto trace = open_trace(arguments);
  Progress progress;
  const Resumed resumed =
      resume(folder, study_hooks(progress, trace.get()), {.elsewhere = arguments.has("--elsewhere")});
  progress.end();
  if (resumed.study) return show_study(*resumed.study, arguments.json());
  return resumed.trained ? show_train(*resumed.trained, arguments.json()) : 0;
}

}  // namespace

Verb resume_verb() {
  return {.name = "resume",
          .help = "go on with a run of tune or train that was interrupted or killed, from its last save",
          .example = "finetune_tune resume runs/first",
          .flags = {{"folder", "DIR", "folder of the run, or a copy of it"},
                    {.name = "--elsewhere",
                     .help = "also on another kind of processor, where the last bits may differ",
                     .takes = Flag::Takes::nothing},
                    trace_flag()},
          .run = run_resume,
          .configured = false};
}

}  // namespace finetune
