// What `bench` says on a terminal.
#pragma once

#include <iosfwd>
#include <string>

#include "host/bench.h"

namespace finetune {

/// `command`: what has just been typed, to be typed again with --json.
void show_bench(std::ostream& out, const BenchReport& report, const std::string& command);

}  // namespace finetune
