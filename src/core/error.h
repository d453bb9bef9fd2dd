// The one error type. Thrown at set-up (reading files, validating options); the step path does not throw.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace finetune {

/// What an error means for the process: bad_input (usage, config, data: exit code 2, nothing was started or written) or
/// failed (something broke while running: exit code 1).
enum class ErrorKind { bad_input, failed };

/// One line that says what, where (file:line, key, tensor), why, and what to do. No line breaks inside.
class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  ErrorKind kind() const { return kind_; }

 private:
  ErrorKind kind_;
};

/// `throw bad_input("run.yaml:3", "tune.trials must be at least 1, not 0")` -> "run.yaml:3: tune.trials must ...".
/// An empty `where` leaves the prefix out.
Error bad_input(std::string_view where, std::string_view what);

/// The same for errors while running (exit code 1).
Error failed(std::string_view where, std::string_view what);

}  // namespace finetune
