#include "cli/flags.h"
#include "cli/interrupt.h"
#include "cli/prepare.h"
#include "cli/progress.h"
#include "cli/show_study.h"
#include "core/error.h"
#include "host/resume.h"

namespace finetune {
namespace {

int run_resume(const Arguments& arguments) {
  prepare_config(arguments);
  const std::string folder = arguments.option("folder");
  if (folder.empty()) throw bad_input("", "resume needs the folder of a run: finetune_tune resume runs/first");
  const InterruptGuard guard;
  Progress progress;
  const StudySummary summary =
      resume(folder, progress.hooks(InterruptGuard::requested), {.elsewhere = arguments.has("elsewhere")});
  progress.end();
  return show_study(summary, arguments.json());
}

}  // namespace

Verb resume_verb() {
  return {.name = "resume",
          .help = "go on with a study that was interrupted or killed, from its last save",
          .example = "finetune_tune resume runs/first",
          .flags = {{"folder", "DIR", "folder of the run, or a copy of it"},
                    {.name = "--elsewhere",
                     .help = "also on another kind of processor, where the last bits may differ",
                     .takes = Flag::Takes::nothing}},
          .run = run_resume};
}

}  // namespace finetune
