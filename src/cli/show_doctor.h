// What `doctor` says on a terminal.
#pragma once

#include <iosfwd>

#include "engine/machine_report.h"

namespace finetune {

void show_machine(std::ostream& out, const MachineReport& report);

/// "41.2 us", in four places at most.
std::string short_time(double seconds);
/// "152 GFLOP/s", "1.2 TFLOP/s"
std::string rate_text(double flops);

}  // namespace finetune
