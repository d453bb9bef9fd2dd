// Trials trained for some seconds, as a study would.
#pragma once

#include "engine/session.h"
#include "host/bench.h"

namespace finetune {

/// options.trials trials spread over the session's lanes; adds their captures to `captures`.
TrainingSpeed packed_speed(const Session& session, const BenchOptions& options, std::int64_t& captures);

/// A trial by itself, on all threads of its device: what one after the other comes to.
TrainingSpeed alone_speed(const Session& session, const BenchOptions& options);

}  // namespace finetune
