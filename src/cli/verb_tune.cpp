#include <iostream>
#include <nlohmann/json.hpp>

#include "cli/interrupt.h"
#include "cli/prepare.h"
#include "cli/progress.h"
#include "cli/verbs.h"
#include "host/tune.h"

namespace finetune {

int run_tune(const Arguments& arguments) {
  const RunConfig config = prepare_config(arguments, {"model.path", "data.train", "run.out"});
  const InterruptGuard guard;
  Progress progress;
  const StudySummary summary = tune(config, progress.hooks(InterruptGuard::requested), arguments.overwrite);
  progress.end();
  if (arguments.json)
    std::cout << report_json(summary).dump() << "\n";
  else
    std::cout << report_text(summary, config.run.out);
  return InterruptGuard::requested() ? 130 : 0;
}

}  // namespace finetune
