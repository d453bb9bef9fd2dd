// How many lanes a processor has: for small models one a core, so that no core waits for another inside a product; for
// large ones a single lane that uses all cores in each product. Numbers of trials do not depend on it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/measure.h"
#include "engine/session.h"

namespace finetune {

/// Numbers of lanes worth a try for `threads` processors and `trials` trials: 1, then doubling, then one a processor.
std::vector<std::int64_t> lanes_to_try(int threads, std::int64_t trials);

/// Settles session.model.devices: run.lanes lanes a device where given; else on a single CPU the number whose round of
/// `trials` trials is the shortest when tried, within memory, written to run.lanes; else one a device. More lanes than
/// trials are lowered, which is said. Returns what these lanes cost. Throws Error (bad_input) for more than one lane on
/// a GPU. `seconds`: time for each number that is tried. Says what it chose in session.notes.
LaneCosts settle_lanes(Session& session, std::int64_t trials, double seconds);

/// Where nothing can be measured: run.lanes lanes a device where given, else one.
void suppose_lanes(Session& session, std::int64_t trials);

}  // namespace finetune
