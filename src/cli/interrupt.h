// Ctrl-C and SIGTERM: the study ends after the round under way, saved and with a report of what there is, and says so
// at once; a second one ends the process.
#pragma once

namespace finetune {

/// Installs the handlers; restored when destroyed.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;
  static bool requested();
};

}  // namespace finetune
