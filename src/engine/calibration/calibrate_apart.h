// A calibration in a process of its own, which a kernel that faults or never ends takes with it instead of the run: on
// a GPU the first bad access makes every later call of its process fail.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "engine/calibration/calibration_cache.h"

namespace finetune {

/// How the other process is started: words, behind which --request JSON --result FILE are put.
struct CalibrationProgram {
  std::vector<std::string> words;
  double seconds = 120;                    ///< then it is ended
  std::function<bool()> interrupted = {};  ///< asked meanwhile
};
/// This program itself, if it is finetune_tune; no words where another program has the engine linked in.
CalibrationProgram calibration_program();

/// Runs one to its end; what went wrong is an Error (failed). Throws Interrupted.
Calibration calibrate_apart(const CalibrationRequest& request, const CalibrationProgram& program);

/// What is said of it.
struct CalibrationWords {
  std::function<void(const std::string&)> note;      ///< what was found, or why nothing could be
  std::function<void(const std::string&)> now = {};  ///< that it begins; may be empty
};
/// The table of kernels for a device: what the cache has, else what a process of its own finds, which is kept; the
/// composition, and one line, where that fails.
ops::KernelTable calibrated_kernels(const CalibrationRequest& request, const CalibrationCache& cache,
                                    const CalibrationProgram& program, const CalibrationWords& words);

}  // namespace finetune
