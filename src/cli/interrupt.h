// Ctrl-C and SIGTERM: what is under way ends where it may, a study after its round, saved and with a report of what
// there is, and that is said at once; a second one ends the process.
#pragma once

#include <csignal>
#include <string_view>

namespace finetune {

inline constexpr std::string_view kAfterTheRound = "ending after the round under way";

/// Installs the handlers; what was there is restored when destroyed. One within another (texts that are written while a
/// study goes on) changes nothing: what was asked of the outer one is asked of both.
class InterruptGuard {
 public:
  enum class Second { ends_process, is_one_too_many };
  /// `ending`: what the first one says will happen, in words that the user has for what is under way. `second`: in a
  /// notebook the process is more than the study, and holds what its user has made.
  explicit InterruptGuard(std::string_view ending = kAfterTheRound, Second second = Second::ends_process);
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;
  static bool requested();

 private:
  bool outermost_;
  struct sigaction interrupt_ = {}, terminate_ = {};  // as they were
};

}  // namespace finetune
