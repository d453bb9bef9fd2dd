// What `bench` says on a terminal.
#pragma once

#include <cstddef>
#include <iosfwd>
#include <string>

#include "host/bench.h"

namespace finetune {

/// `command`: what has just been typed, to be typed again with --json. `width`: columns of the terminal; 0: it is none.
void show_bench(std::ostream& out, const BenchReport& report, const std::string& command, std::size_t width);

}  // namespace finetune
