// What `doctor` says on a terminal.
#pragma once

#include <cstddef>
#include <iosfwd>

#include "engine/machine_report.h"

namespace finetune {

/// `width`: columns of the terminal; 0: it is none.
void show_machine(std::ostream& out, const MachineReport& report, std::size_t width);

/// "41.2 us", in four places at most.
std::string short_time(double seconds);
/// "152 GFLOP/s", "1.2 TFLOP/s"
std::string rate_text(double flops);

}  // namespace finetune
