#include "cli/interrupt.h"

#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <string>

namespace finetune {
namespace {

// A signal handler can reach nothing but a global. Signals may arrive on several threads at once: one of them is first.
std::atomic<bool> guarded = false, interrupted = false, may_end_process = true;
static_assert(std::atomic<bool>::is_always_lock_free);

// What the first signal says: put together before there is a handler, which may call write() alone.
std::array<char, 240> line;
std::size_t line_size = 0;

void set_line(std::string_view ending) {
  std::string text = "\ninterrupted: " + std::string(ending);
  if (may_end_process) text += "; once more ends at once";
  line_size = text.append("\n").copy(line.data(), line.size());
}

void on_signal(int signal) {
  if (interrupted.exchange(true)) {
    if (!may_end_process) return;
    std::signal(signal, SIG_DFL);
    std::raise(signal);  // comes once this handler has returned
    return;
  }
  if (::write(STDERR_FILENO, line.data(), line_size) < 0) return;  // there is nobody to tell
}

void install(int signal, struct sigaction& before) {
  struct sigaction ours = {};
  ours.sa_handler = on_signal;
  ours.sa_flags = SA_RESTART;
  sigaction(signal, &ours, &before);
}

}  // namespace

InterruptGuard::InterruptGuard(std::string_view ending, Second second) : outermost_(!guarded.exchange(true)) {
  if (!outermost_) return;
  interrupted = false;
  may_end_process = second == Second::ends_process;
  set_line(ending);
  install(SIGINT, interrupt_);
  install(SIGTERM, terminate_);
}

InterruptGuard::~InterruptGuard() {
  if (!outermost_) return;
  sigaction(SIGINT, &interrupt_, nullptr);
  sigaction(SIGTERM, &terminate_, nullptr);
  guarded = false;
}

bool InterruptGuard::requested() {
  return interrupted;
}

}  // namespace finetune
