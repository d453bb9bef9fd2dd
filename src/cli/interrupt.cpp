#include "cli/interrupt.h"

#include <unistd.h>

#include <atomic>
#include <csignal>
#include <string_view>

namespace finetune {
namespace {

// A signal handler can reach nothing but a global. Signals may arrive on several threads at once: one of them is first.
std::atomic<bool> interrupted = false, may_end_process = true;
static_assert(std::atomic<bool>::is_always_lock_free);

constexpr std::string_view kFirst = "\ninterrupted: ending after the round under way; once more ends at once\n",
                           kFirstOfMany = "\ninterrupted: ending after the round under way\n";

void on_signal(int signal) {
  if (interrupted.exchange(true)) {
    if (!may_end_process) return;
    std::signal(signal, SIG_DFL);
    std::raise(signal);  // comes once this handler has returned
    return;
  }
  // write() alone may be called here; where it fails there is nobody to tell.
  const std::string_view line = may_end_process ? kFirst : kFirstOfMany;
  if (::write(STDERR_FILENO, line.data(), line.size()) < 0) return;
}

void install(int signal, struct sigaction& before) {
  struct sigaction ours = {};
  ours.sa_handler = on_signal;
  ours.sa_flags = SA_RESTART;
  sigaction(signal, &ours, &before);
}

}  // namespace

InterruptGuard::InterruptGuard(Second second) {
  interrupted = false;
  may_end_process = second == Second::ends_process;
  install(SIGINT, interrupt_);
  install(SIGTERM, terminate_);
}

InterruptGuard::~InterruptGuard() {
  sigaction(SIGINT, &interrupt_, nullptr);
  sigaction(SIGTERM, &terminate_, nullptr);
}

bool InterruptGuard::requested() {
  return interrupted;
}

}  // namespace finetune
