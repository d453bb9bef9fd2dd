// The metric `command`: a program of the user's judges what was written.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace finetune {

struct JudgedText {
  std::string prompt, reference, prediction;
};

struct CommandOptions {
  std::vector<std::string> command;  ///< tune.command
  double seconds = 60;               ///< tune.command_timeout
  std::function<void(const std::string&)> say;
  std::function<bool()> interrupted;
};

/// The number that the program prints, which gets a file of JSON lines as its last argument. Not a number where it
/// fails, takes too long or prints no number; that is said, with what it wrote to stderr. Throws Interrupted.
double judge_by_command(const std::vector<JudgedText>& texts, const CommandOptions& options);

}  // namespace finetune
