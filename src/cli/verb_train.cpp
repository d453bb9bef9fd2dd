#include "cli/flags.h"
#include "cli/interrupt.h"
#include "cli/prepare.h"
#include "cli/progress.h"
#include "cli/show_train.h"
#include "cli/study_hooks.h"
#include "host/train.h"

namespace finetune {
namespace {

int run_train(const Arguments& arguments) {
  const RunConfig config = prepare_config(arguments);
  const InterruptGuard guard;
  const auto trace = open_trace(arguments);
  Progress progress;
  const TrainResult result = train(config, study_hooks(progress, trace.get()), arguments.overwrite());
  progress.end();
  return show_train(result, arguments.json());
}

}  // namespace

Verb train_verb() {
  return {.name = "train",
          .help = "train one configuration, no search",
          .example = "finetune_tune train --config runs/first/best.yaml --out runs/again",
          .flags = training_flags() + out_flags() + std::vector<Flag>{profile_flag(), trace_flag()},
          .required = {"model.path", "data.train", "run.out"},
          .run = run_train};
}

}  // namespace finetune
