// Another program, run to its end.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace finetune {

struct ProgramLimits {
  double seconds = 60;
  std::function<bool()> interrupted = {};  ///< asked ten times a second; true: the program is killed
};

struct ProgramResult {
  std::string problem;        ///< why there is no result, for people; "" where it ended by itself with exit code 0
  std::string output, error;  ///< what it wrote, the first 64 KiB of each
  bool interrupted = false;
};

/// Whether there is such a program, found as a shell finds it.
bool can_be_run(const std::string& program);

/// `words`: the program, found as a shell finds it, and its arguments; there is no shell. Its standard input is empty.
/// Whatever it has started ends with it when it is killed, as far as it stayed in its process group; it does not
/// outlive the thread that runs it. Blocks.
ProgramResult run_program(const std::vector<std::string>& words, const ProgramLimits& limits);

}  // namespace finetune
