#include "cli/last_words.h"

#include <cxxabi.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <exception>
#include <new>
#include <string_view>

namespace finetune {
namespace {

constexpr std::string_view kMemory =
    "finetune_tune: out of memory; lower tune.concurrent, run.tokens_per_pass or run.lanes; a run that was saved goes "
    "on "
    "with finetune_tune resume\n";
constexpr std::string_view kLibrary =
    "finetune_tune: a library ended the process for the reason above: memory or processes are limited (ulimit)\n";

// Handlers can reach nothing but globals.
std::terminate_handler others = nullptr;
std::atomic<bool> works = false;

// write() alone: there may be no memory for more. Nothing is unwound, as if the process were killed.
[[noreturn]] void end_with(std::string_view line) {
  if (::write(STDERR_FILENO, line.data(), line.size()) < 0) ::_exit(1);
  ::_exit(1);
}

void on_terminate() {
  if (abi::__cxa_current_exception_type() != nullptr) {
    try {
      throw;
    } catch (const std::bad_alloc&) {
      end_with(kMemory);
    } catch (...) {  // told below
    }
  }
  others();
}

void on_exit_of_a_library() {
  if (works) end_with(kLibrary);
}

}  // namespace

LastWords::LastWords() {
  others = std::set_terminate(on_terminate);
  works = true;
  std::atexit(on_exit_of_a_library);
}

LastWords::~LastWords() {
  works = false;
}

}  // namespace finetune
