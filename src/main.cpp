// parse -> run -> exit code. The one place that catches errors.
#include <cstdio>
#include <exception>

#include "cli/arguments.h"
#include "cli/verbs.h"
#include "core/error.h"

int main(int argc, char** argv) {
  try {
    const finetune::Arguments arguments = finetune::parse_arguments(argc, argv);
    return arguments.done ? 0 : finetune::run_verb(arguments);
  } catch (const finetune::Error& error) {
    std::fprintf(stderr, "finetune_tune: %s\n", error.what());
    return error.kind() == finetune::ErrorKind::bad_input ? 2 : 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "finetune_tune: %s\n", error.what());
    return 1;
  }
}
