// Ctrl-C and SIGTERM: the study ends after the round under way, saved and with a report of what there is, and says so
// at once; a second one ends the process.
#pragma once

#include <csignal>

namespace finetune {

/// Installs the handlers; what was there is restored when destroyed.
class InterruptGuard {
 public:
  enum class Second { ends_process, is_one_too_many };
  /// `second`: in a notebook the process is more than the study, and holds what its user has made.
  explicit InterruptGuard(Second second = Second::ends_process);
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;
  static bool requested();

 private:
  struct sigaction interrupt_ = {}, terminate_ = {};  // as they were
};

}  // namespace finetune
