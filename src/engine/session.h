// Everything a verb needs before the first step: data, base model, starting adapter, devices, sizes. Opening a session
// reads and checks all of it and writes nothing.
#pragma once

#include <c10/core/Device.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/run_config.h"
#include "data/dataset.h"
#include "engine/devices.h"
#include "engine/memory.h"
#include "engine/packed_trainer.h"
#include "engine/parameter_store.h"
#include "engine/short_waits.h"
#include "kernels/torch/backend.h"
#include "models/checkpoint.h"
#include "models/peft.h"
#include "models/weights.h"

namespace finetune {

/// One line; from any thread.
void say_on_stderr(const std::string& line);

struct Session {
  RunConfig config;  ///< resolved: epochs turned into steps, fractions and limits as used
  std::unique_ptr<Tokenizer> tokenizer;
  Dataset train, valid;             ///< eval: the data is in `valid`
  std::string valid_source;         ///< for people: "dev.tsv", "5 % of the training data", ""
  std::string chat_template;        ///< name, or file and hash, of what the conversations are rendered with; "" = none
  std::vector<std::string> notes;   ///< said once: limits lowered, examples truncated or dropped
  BaseModel model;                  ///< options and config; its tensors are in bases
  std::vector<at::Device> devices;  ///< one lane each
  ops::KernelChoice kernels = ops::KernelChoice::automatic;
  std::vector<DecoderBase> bases;    ///< one per lane; lanes on the same device share storage
  std::optional<PeftAdapter> start;  ///< model.adapter
  std::int64_t tokens_per_pass = 0;
  int threads = 1;                                ///< processors that lanes on the CPU divide among them
  std::shared_ptr<const ShortWaits> short_waits;  ///< where a lane is on the CPU
  std::int64_t program_bytes = 0;  ///< host memory of the process when all of this was open, without the bases
  FreeMemory free_memory = available_bytes;
  std::function<bool()> interrupted;  ///< asked between passes by every lane, on its thread: true ends the call
  std::function<void(const std::string&)> say = say_on_stderr;  ///< lines for people while a run is under way
};

struct SessionOptions {
  bool trains = true;     ///< false: only data.valid is read, and examples without a loss token stay in it
  bool holds_out = true;  ///< where neither data.valid nor data.valid_fraction is given, 5 % of data.train are held out
  bool collect_rejects = false;  ///< bad lines go to Dataset::rejects, tokens are counted by role; else the first bad
                                 ///< line is an error
  FreeMemory free_memory = available_bytes;
};

/// Opens data first (cheap, most often wrong), then the model. Throws Error (bad_input).
Session open_session(RunConfig config, const SessionOptions& options = {});

/// Sizes of the store that every configuration of the study fits in: largest rank, union of targets.
StoreOptions store_options(const Session& session, std::int64_t slots);

/// A trial's configuration from its searched parameters.
TrainConfig configure_trial(const RunConfig& config, const Params& params);

}  // namespace finetune
