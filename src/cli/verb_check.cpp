#include <unistd.h>

#include <iostream>
#include <nlohmann/json.hpp>

#include "cli/check.h"
#include "cli/flags.h"
#include "cli/prepare.h"
#include "cli/terminal.h"
#include "engine/session.h"

namespace finetune {
namespace {

int run_check(const Arguments& arguments) {
  const bool json = arguments.json();
  const nlohmann::ordered_json found =
      check(prepare_config(arguments), {.text = json ? std::cerr : std::cout,
                                        .colours = !json && isatty(STDOUT_FILENO) != 0,
                                        .columns = json ? 0 : terminal_columns(STDOUT_FILENO),
                                        .say = say_on_stderr});
  if (json) std::cout << found.dump() << "\n";
  return 0;
}

}  // namespace

Verb check_verb() {
  return {.name = "check",
          .help = "read everything, train nothing: what will be trained on, rejects, memory, time",
          .example = "finetune_tune check --model models/qwen --train train.jsonl",
          .flags = training_flags() + out_flags(),
          .required = {"model.path"},
          .run = run_check};
}

}  // namespace finetune
