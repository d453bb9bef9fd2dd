// The command line: verbs, flags, and what they mean. Torch-free, so that a mistake is reported at once.
#pragma once

#include <string>
#include <vector>

#include "config/config.h"

namespace finetune {

struct Arguments {
  std::string verb = "tune";
  ConfigSources sources;
  std::string adapter;                                          ///< eval, export: --adapter
  std::string per_example;                                      ///< eval: --per-example
  std::string methods = "grid,random,gp,hyperband,optuna,pbt";  ///< compare: --methods
  std::string seeds = "5";                                      ///< compare: --seeds
  std::string concurrency;                                      ///< compare: --concurrency
  std::string folder;                                           ///< report, resume: the run
  bool json = false, overwrite = false, no_special = false;
  bool simulate = false;  ///< compare: --simulate
  bool done = false;      ///< --help or --version was printed
};

/// Throws Error (bad_input) naming the flag. Prints help and version itself.
Arguments parse_arguments(int argc, char** argv);

}  // namespace finetune
