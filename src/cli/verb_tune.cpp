#include "cli/flags.h"
#include "cli/interrupt.h"
#include "cli/prepare.h"
#include "cli/progress.h"
#include "cli/show_study.h"
#include "cli/study_hooks.h"
#include "host/tune.h"
#include "tuners/registry.h"

namespace finetune {

namespace {

int run_tune(const Arguments& arguments) {
  const RunConfig config = prepare_config(arguments);
  const InterruptGuard guard;
  const auto trace = open_trace(arguments);
  Progress progress;
  const ReportFacts summary = tune(config, study_hooks(progress, trace.get()), arguments.overwrite());
  progress.end();
  return show_study(summary, arguments.json());
}

}  // namespace

Verb tune_verb() {
  return {.name = "tune",
          .help = "search hyperparameters: many LoRA trials side by side over one frozen base",
          .example =
              "finetune_tune --model models/qwen --train train.jsonl --valid dev.jsonl --out runs/first --trials 16 "
              "--steps 100",
          .flags = training_flags() + out_flags() + std::vector<Flag>{profile_flag(), trace_flag()},
          .required = {"model.path", "data.train", "run.out"},
          .run = run_tune,
          .notes = tuners_help()};
}

}  // namespace finetune
