// The one error type. Thrown at set-up (reading files, validating options); the step path does not throw.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace finetune {

/// What an error means for the process: bad_input (usage, config, data: exit code 2, nothing was started or written),
/// failed (something broke while running: exit code 1) or interrupted (the user ended what could not go on: 130).
enum class ErrorKind { bad_input, failed, interrupted };
int exit_code(ErrorKind kind);

/// One line that says what, where (file:line, key, tensor), why, and what to do. No line breaks inside; what() is
/// "where: message".
class Error : public std::runtime_error {
 public:
  /// An empty `where` leaves the prefix out.
  Error(ErrorKind kind, std::string_view where, std::string_view message);
  ErrorKind kind() const { return kind_; }
  const std::string& where() const { return where_; }
  const std::string& message() const { return message_; }
  /// The same error with a place, where it has none yet: whoever knows more exactly has been there first.
  Error at(std::string_view place) const;

 private:
  ErrorKind kind_;
  std::string where_, message_;
};

/// `throw bad_input("run.yaml:3", "tune.trials must be at least 1, not 0")` -> "run.yaml:3: tune.trials must ...".
Error bad_input(std::string_view where, std::string_view message);

/// The same for errors while running (exit code 1).
Error failed(std::string_view where, std::string_view message);

/// Thrown when the user asked the run to end; what was begun is left.
struct Interrupted {};

}  // namespace finetune
