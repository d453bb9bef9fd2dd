// What tune, train and compare share: opening a session, its folder, a study on its lanes.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/file_lock.h"
#include "engine/lane_count.h"
#include "engine/lanes.h"
#include "engine/session.h"
#include "engine/study.h"
#include "host/hooks.h"
#include "report/profile.h"

namespace finetune {

using Say = std::function<void(const std::string&)>;
using Clock = std::chrono::steady_clock;

/// Lanes of the session for `trials` trials, and what they cost; nothing where the trials are computed elsewhere
/// (StudyHooks::lanes), and none is measured.
std::optional<LaneCosts> lanes_of_study(Session& session, const StudyHooks& hooks, std::int64_t trials);

/// How many trials stand side by side: what memory allows, or what is wanted where they are computed elsewhere.
std::int64_t resident_in_study(Session& session, const StudyHooks& hooks);

double seconds_since(Clock::time_point start);

/// open_session for a study of `trials` trials side by side at the least, with its messages going to `say`; `stop` ends
/// a round under way (both may be empty).
Session open_study(RunConfig config, DataUse use, std::int64_t trials, const Say& say,
                   const std::function<bool()>& stop);

/// Throws Error (bad_input) where there is nothing to measure on. `why`: "tune compares trials on".
void require_validation(const OpenedData& data, const std::string& why);

/// Model, device and data in a few lines, with everything that is said once.
void describe_session(const Session& session);

/// What is said once: limits lowered, examples left out, and those that stand in training and in validation.
void say_notes(const Session& session);

/// Makes run.out, empty, with run.yaml in it, and holds it: nobody else may write there as long as the lock lives.
FileLock begin_folder(const Session& session, bool overwrite);

StudyPlan study_plan(const RunConfig& config);

/// For a study on the session's devices as `config` describes it, which must outlive it; `resident` trials side by
/// side. All but `stop`, on_step and savers.
StudyOptions study_options(const Session& session, const RunConfig& config, std::int64_t resident);

/// With run.profile, where the time of the lanes went, else nothing. `after_round`: of a run that was gone on with, the
/// round of its save.
std::optional<ProfileFacts> profile_of(const Session& session, const std::vector<LaneParts>& lanes,
                                       std::int64_t after_round);

std::vector<Lane*> lanes_of(std::vector<LaneParts>& lanes);

}  // namespace finetune
