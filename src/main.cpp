// parse -> run -> exit code. The one place that catches errors.
#include <malloc.h>
#include <sys/resource.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <iostream>
#include <new>
#include <string>
#include <system_error>

#include "cli/last_words.h"
#include "cli/verbs.h"
#include "core/error.h"
#include "core/spare_memory.h"
#include "engine/out_of_memory.h"

// Large blocks go back to the system when they are freed. Left to itself glibc keeps ever larger ones in its heap, and
// the peak is a tenth more or not as they happen to fit: `check` could not foretell it.
void keep_heap_small() {
  mallopt(M_MMAP_THRESHOLD, 4 << 20);
  // Under `ulimit -v` addresses are what ends, and glibc reserves 64 MiB of them for each thread.
  rlimit addresses = {};
  if (getrlimit(RLIMIT_AS, &addresses) == 0 && addresses.rlim_cur != RLIM_INFINITY) mallopt(M_ARENA_MAX, 1);
}

// LibTorch's errors go on with where they were raised and a stack, which tell a user nothing.
std::string first_line(const std::string& what) {
  return what.substr(0, what.find('\n'));
}

// What was printed may still be on its way: a disk that is full says so only now.
int with_output(int code) {
  std::cout.flush();
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0 && std::cout.good()) return code;
  std::fprintf(stderr, "finetune_tune: stdout: %s; what was printed is not all there\n", std::strerror(errno));
  return code == 0 ? 1 : code;
}

int main(int argc, char** argv) {
  keep_heap_small();
  finetune::keep_spare_memory();
  const finetune::LastWords last_words;
  try {
    const finetune::Arguments arguments = finetune::parse_arguments(argc, argv, finetune::all_verbs());
    return with_output(arguments.done ? 0 : arguments.verb.run(arguments));
  } catch (const finetune::Error& error) {
    std::fprintf(stderr, "finetune_tune: %s\n", error.what());
    return exit_code(error.kind());
  } catch (const finetune::Interrupted&) {  // a study catches its own: this is before or beside one
    std::fprintf(stderr, "finetune_tune: interrupted before there was anything to keep\n");
    return 130;
  } catch (const std::system_error& error) {
    std::fprintf(stderr, "finetune_tune: a thread cannot be started: %s; memory or processes are limited (ulimit)\n",
                 error.what());
    return 1;
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "finetune_tune: out of memory\n");
    return 1;
  } catch (const std::exception& error) {
    const std::string what = first_line(error.what());
    const bool memory = finetune::says_out_of_memory(what);
    std::fprintf(stderr, "finetune_tune: %s%s\n", memory ? "out of memory: " : "", what.c_str());
    return 1;
  }
}
