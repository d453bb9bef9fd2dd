// What a run will take, said before its first step.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "engine/admission.h"
#include "engine/measure.h"

namespace finetune {

/// Seconds that verbs which train spend on trying one number of lanes; `check` takes its time.
inline constexpr double kMeasuringSeconds = 0.4, kCheckSeconds = 2;

/// What a run that is gone on with has yet to do.
struct WorkLeft {
  double trials = 0;  ///< parts of one included
  bool baselines = false;
};

struct Forecast {
  double trials = 1;               ///< to be done: all, or what is left of them
  std::int64_t all_trials = 1;     ///< of the run
  std::int64_t steps = 1;          ///< of one trial that nobody stops
  bool is_single = false;          ///< one configuration, no search
  bool is_rest = false;            ///< of a run that is gone on with
  bool is_timed = false;           ///< what lanes cost was measured; else the seconds are 0
  std::int64_t resident = 1;       ///< trials side by side
  double round_seconds = 0;        ///< a step of all of them
  double evaluation_seconds = 0;   ///< of `seconds`
  bool asks_all_rows = true;       ///< an evaluation asks all of the validation data, whatever that takes
  double reference_seconds = 0;    ///< of `seconds`: losses under the model as it starts
  double seconds = 0;              ///< all of them to the end: the most that the run, or its rest, takes
  bool stops = false;              ///< the scheduler may stop trials before their end
  std::vector<MemoryNeed> memory;  ///< of each device
  std::int64_t save_bytes = 0;     ///< of one save at most; 0 where none is made
};

/// For `resident` trials side by side on the session's lanes. With `baselines` the base is evaluated and the default
/// configuration trained besides. `left`: of a run that is gone on with. Without `costs` it says nothing of time.
Forecast make_forecast(const Session& session, const std::optional<LaneCosts>& costs, std::int64_t resident,
                       bool baselines, const std::optional<WorkLeft>& left = {});

/// Time and memory for people, and what makes a run of more than an hour shorter. Lines without line ends.
std::vector<std::string> forecast_lines(const Forecast& forecast);

/// Of all devices.
std::int64_t memory_bytes(const Forecast& forecast);

/// The same in bytes, a device each: base, trials, kept_states, activations, evaluation, program.
nlohmann::ordered_json memory_parts(const Forecast& forecast);

}  // namespace finetune
