// parse -> run -> exit code. The one place that catches errors.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>

#include "cli/arguments.h"
#include "cli/verbs.h"
#include "core/error.h"

// A thread of the OpenMP library waits for its neighbours by spinning for milliseconds, which on a busy machine takes
// the processor from the very thread it waits for (measured: 31 s instead of 4 s for a small run). The library reads
// its settings before main, so the program starts itself once more; who set them is left alone.
static void start_again_with_short_waits(char** argv) {
  if (std::getenv("GOMP_SPINCOUNT") != nullptr || std::getenv("OMP_WAIT_POLICY") != nullptr) return;
  ::setenv("GOMP_SPINCOUNT", "1000", 1);
  ::execv("/proc/self/exe", argv);  // comes back only where it failed: then it goes on as it is
}

int main(int argc, char** argv) {
  start_again_with_short_waits(argv);
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
