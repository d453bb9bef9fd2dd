#include <iostream>
#include <nlohmann/json.hpp>

#include "cli/interrupt.h"
#include "cli/prepare.h"
#include "cli/tune_model.h"
#include "cli/verbs.h"

namespace finetune {

int run_tune(const Arguments& arguments) {
  const RunConfig config = prepare_config(arguments, {"model.path", "data.train", "run.out"});
  const InterruptGuard guard;
  const StudySummary summary = tune_model(config, {.stop = InterruptGuard::requested}, arguments.overwrite);
  if (arguments.json)
    std::cout << report_json(summary).dump() << "\n";
  else
    std::cout << report_text(summary, config.run.out);
  return InterruptGuard::requested() ? 130 : 0;
}

}  // namespace finetune
