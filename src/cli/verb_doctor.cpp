#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>

#include "cli/flags.h"
#include "cli/prepare.h"
#include "cli/show_doctor.h"
#include "cli/terminal.h"
#include "core/cache_folder.h"
#include "engine/session.h"
#include "engine/shapes.h"
#include "host/run_paths.h"

namespace finetune {
namespace {

// The shape that a machine is asked about when no model is given: one that it would be used for.
const char* usual_shape() {
  return machine_gpus().count > 0 ? "qwen2.5-0.5b" : "smollm2-135m";
}

DecoderOptions model_of(const RunConfig& config) {
  if (config.model.path.empty()) return shape_of("", usual_shape(), 1024);
  check_paths(config, false, false);
  return read_sizes(config.model.path, at::kFloat, {}).options;
}

int run_doctor(const Arguments& arguments) {
  require_meaning(arguments, {"model.path", "train.lora.rank"});
  const RunConfig config = prepare_config(arguments);
  const DecoderOptions model = model_of(config);
  const std::string shape = config.model.path.empty() ? usual_shape() : config.model.path;
  const KernelShape sizes = kernel_shape_of(model, config.train.lora.rank);
  const MachineReport report =
      examine_machine(sizes, fmt::format("{} (rank {})", shape, sizes.rank),
                      CalibrationCache(cache_folder(), say_on_stderr), calibration_program(), say_on_stderr);
  if (arguments.json())
    std::cout << to_json(report).dump() << "\n";
  else
    show_machine(std::cout, report, terminal_columns(STDOUT_FILENO));
  return is_unsound(report) ? 1 : 0;
}

}  // namespace

Verb doctor_verb() {
  return {.name = "doctor",
          .help = "what this machine has and can do, and whether the kernels of this program are right and pay on it",
          .example = "finetune_tune doctor --model models/qwen",
          .flags = {model_flag()},
          .required = {},
          .run = run_doctor,
          .notes = "Ends with exit code 1 if a kernel is wrong. Without --model: the sizes of a usual one."};
}

}  // namespace finetune
