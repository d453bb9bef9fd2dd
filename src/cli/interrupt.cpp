#include "cli/interrupt.h"

#include <unistd.h>

#include <csignal>
#include <string_view>

namespace finetune {
namespace {

// A signal handler can reach nothing but a global.
volatile std::sig_atomic_t interrupted = 0;

constexpr std::string_view kFirst = "\ninterrupted: ending after the round under way; once more ends at once\n";

void on_signal(int signal) {
  if (interrupted != 0) {
    std::signal(signal, SIG_DFL);
    std::raise(signal);
  }
  interrupted = 1;
  // write() alone may be called here; where it fails there is nobody to tell.
  if (::write(STDERR_FILENO, kFirst.data(), kFirst.size()) < 0) return;
}

}  // namespace

InterruptGuard::InterruptGuard() {
  interrupted = 0;
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
}

InterruptGuard::~InterruptGuard() {
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
}

bool InterruptGuard::requested() {
  return interrupted != 0;
}

}  // namespace finetune
