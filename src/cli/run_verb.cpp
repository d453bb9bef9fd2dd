#include <iostream>

#include "cli/asktell.h"
#include "cli/prepare.h"
#include "cli/tokenize.h"
#include "cli/verbs.h"
#include "core/error.h"
#include "host/run_paths.h"

namespace finetune {
namespace {

int run_tokenizer(const Arguments& arguments) {
  const RunConfig config = prepare_config(arguments, {"model.path"});
  check_paths(config, false, false);
  std::ios::sync_with_stdio(false);
  if (arguments.verb == "tokenize") return run_tokenize(config.model.path, !arguments.no_special, std::cin, std::cout);
  return run_detokenize(config.model.path, std::cin, std::cout);
}

}  // namespace

int run_verb(const Arguments& arguments) {
  if (arguments.verb == "tune") return run_tune(arguments);
  if (arguments.verb == "train") return run_train(arguments);
  if (arguments.verb == "eval") return run_eval(arguments);
  if (arguments.verb == "check") return run_check(arguments);
  if (arguments.verb == "export") return run_export(arguments);
  if (arguments.verb == "report") return run_report(arguments);
  if (arguments.verb == "resume") return run_resume(arguments);
  if (arguments.verb == "demo") return run_demo(arguments);
  if (arguments.verb == "compare") return run_compare(arguments);
  if (arguments.verb == "asktell") return run_asktell(arguments);
  if (arguments.verb == "tokenize" || arguments.verb == "detokenize") return run_tokenizer(arguments);
  throw bad_input("", "verb " + arguments.verb + " is not available in this build");
}

}  // namespace finetune
