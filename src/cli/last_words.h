// What is said where nothing is left to catch: an exception that may not pass (memory that ends in a destructor), a
// library that ends the process (OpenMP, where no thread can be started).
#pragma once

namespace finetune {

/// Installs them: one line on stderr, exit code 1. Memory that ends there costs no more than what came after the last
/// save; every other exception ends the process as it did.
class LastWords {
 public:
  LastWords();
  /// From now on exit() is ours.
  ~LastWords();
  LastWords(const LastWords&) = delete;
  LastWords& operator=(const LastWords&) = delete;
};

}  // namespace finetune
