// The verb calibrate, which no help lists: what the program starts of itself to try kernels in (engine/calibration).
#include "cli/arguments.h"
#include "core/files.h"
#include "core/strict_json.h"
#include "engine/calibration/calibration.h"
#include "engine/short_waits.h"

namespace finetune {
namespace {

int run_calibrate(const Arguments& arguments) {
  const CalibrationRequest request =
      request_from_json("--request", parse_strict_json("--request", arguments.option("--request")));
  const at::Device device(request.device);
  const ShortWaits as_in_a_run;  // threads of a busy machine
  const Calibration found = calibrate(request, usual_sizes(device), contest_on(device));
  write_file_atomically(arguments.option("--result"), to_json(found).dump() + "\n");
  return 0;
}

}  // namespace

Verb calibrate_verb() {
  return {.name = "calibrate",
          .help = "tries kernels, for the program itself",
          .example = "finetune_tune calibrate --request JSON --result FILE",
          .flags = {{"--request", "JSON", "what is to be tried"}, {"--result", "FILE", "for what is found"}},
          .required = {},
          .run = run_calibrate,
          .configured = false,
          .hidden = true};
}

}  // namespace finetune
