// What the verbs that run studies on a session share.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "engine/session.h"
#include "engine/study.h"

namespace finetune {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start);

/// For a study on the session's devices as `config` describes it, which must outlive it; `resident` trials side by
/// side. `stop` may be empty; tune.budget.seconds count from `started`.
StudyOptions study_options(const Session& session, const RunConfig& config, std::int64_t resident,
                           Clock::time_point started, std::function<bool()> stop);

/// Model, device and data in a few lines, with everything that is said once. Ends with a line break.
std::string describe_session(const Session& session);

}  // namespace finetune
