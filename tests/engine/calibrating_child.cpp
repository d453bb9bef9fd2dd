// What the tests start where the program would start itself: a calibration with kernels of one's choice.
//
//   calibrating_child HOW --request REQUEST --result FILE
#include <ATen/ATen.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <thread>

#include "core/files.h"
#include "core/strict_json.h"
#include "engine/calibration/calibration.h"

int main(int, char** words) {
  using namespace finetune;
  const std::string how = words[1], file = words[5];
  if (how == "silence") return 0;
  if (how == "garbage" || how == "half" || how == "other") {
    write_file_atomically(file, how == "garbage" ? "\1\2{" : how == "half" ? "{\"operations\": [" : "{\"graphs\": 1}");
    return 0;
  }
  if (how == "refuse") {
    std::fprintf(stderr, "some context\nfinetune_tune: the device is used by somebody else\n");
    return 1;
  }
  ops::Backend written = ops::cpu_backend();
  if (how == "crash")
    written.glu_forward = [](ops::Activation, const at::Tensor&, const at::Tensor&, at::Tensor&) {
      std::raise(SIGSEGV);
    };
  if (how == "hang")
    written.glu_forward = [](ops::Activation, const at::Tensor&, const at::Tensor&, at::Tensor&) {
      for (;;) std::this_thread::sleep_for(std::chrono::seconds(1));
    };
  if (how == "wrong")
    written.glu_forward = [](ops::Activation, const at::Tensor&, const at::Tensor&, at::Tensor& h) { h.fill_(1); };
  const CalibrationRequest request = request_from_json("request", parse_strict_json("request", words[3]));
  const std::vector<CaseSize> sizes{{.tokens = 16, .segment = 8}};
  // Every kernel that is right wins.
  const auto clock = [calls = 0](const std::function<void()>& work) mutable {
    work();
    return calls++ % 2 == 0 ? 2e-3 : 1e-3;
  };
  const Contest contest{.composition = ops::composite_backend(), .written = written, .clock = clock};
  write_file_atomically(file, to_json(calibrate(request, sizes, contest)).dump());
  return 0;
}
