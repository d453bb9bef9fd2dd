// What a run is made of before its first step: a model and data, opened, and the sizes that follow from both. Opening
// reads and checks all of it and writes nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "config/run_config.h"
#include "engine/devices.h"
#include "engine/evaluators/open_evaluators.h"
#include "engine/open_data.h"
#include "engine/open_model.h"
#include "engine/parameter_store.h"
#include "engine/short_waits.h"

namespace finetune {

/// One line; from any thread.
void say_on_stderr(const std::string& line);

struct Session {
  RunConfig config;  ///< resolved: epochs turned into steps, fractions and limits as used
  OpenedModel model;
  OpenedData data;
  Evaluators evaluators, test_evaluators;  ///< of metrics beside the loss: on the validation data, and on data.test
  std::vector<std::string> notes;          ///< said once: limits lowered, examples truncated or dropped
  std::int64_t tokens_per_pass = 0;
  int threads = 1;                                ///< processors that lanes on the CPU divide among them
  std::shared_ptr<const ShortWaits> short_waits;  ///< where a lane is on the CPU
  std::int64_t program_bytes = 0;  ///< host memory of the process when all of this was open, without the bases
  FreeMemory free_memory = available_bytes;
  std::function<bool()> interrupted;  ///< asked between passes by every lane, on its thread: true ends the call
  std::function<void(const std::string&)> say = say_on_stderr;  ///< lines for people while a run is under way

  bool has_data() const { return !data.train.examples.empty() || !data.valid.examples.empty(); }
};

/// The model's sizes first, since its limits are the data's, then the data, and the weights once everything else is
/// known to be right and `trials` trials at the least, side by side, may fit (engine/room.h). With Weights::sizes_only
/// nothing can be computed, and data are read only where data.train names some and the checkpoint has a tokenizer.
/// Throws Error (bad_input).
Session open_session(RunConfig config, const DataUse& use = {}, Weights weights = Weights::read,
                     std::int64_t trials = 0);

/// run.threads, as given or as many as there are, and how threads wait. Throws Error (bad_input).
void settle_threads(Session& session);

/// Sizes of the store that every configuration of the study fits in: largest rank, union of targets.
StoreOptions store_options(const Session& session, std::int64_t slots);

}  // namespace finetune
