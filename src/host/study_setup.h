// What tune, train and compare share: opening a session, its folder, a study on its lanes.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "engine/lanes.h"
#include "engine/session.h"
#include "engine/study.h"
#include "host/hooks.h"

namespace finetune {

using Say = std::function<void(const std::string&)>;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start);

/// open_session, with its messages going to `say`; `stop` ends a round under way (both may be empty).
Session open_study(RunConfig config, const DataUse& use, const Say& say, const std::function<bool()>& stop);

/// Throws Error (bad_input) where there is nothing to measure on. `why`: "tune compares trials on".
void require_validation(const OpenedData& data, const std::string& why);

/// Model, device and data in a few lines, with everything that is said once.
void describe_session(const Session& session);

/// What is said once: limits lowered, examples left out, and those that stand in training and in validation.
void say_notes(const Session& session);

/// Makes run.out, empty, with run.yaml in it.
void begin_folder(const Session& session);

StudyPlan study_plan(const RunConfig& config);

/// For a study on the session's devices as `config` describes it, which must outlive it; `resident` trials side by
/// side. `stop` may be empty; tune.budget.seconds count from `started`.
StudyOptions study_options(const Session& session, const RunConfig& config, std::int64_t resident,
                           Clock::time_point started, std::function<bool()> stop);

StudyResult run_study(StudyOptions options, Tuner& tuner, std::vector<LaneParts>& lanes,
                      std::vector<StudyObserver*> observers);

}  // namespace finetune
