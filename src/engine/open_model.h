// model.* and run.devices: a checkpoint with its tokenizer and the adapter to start from, the precision and the devices
// that it is computed on.
#pragma once

#include <c10/core/Device.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/run_config.h"
#include "data/dataset.h"  // Tokenizer
#include "kernels/torch/backend.h"
#include "models/checkpoint.h"
#include "models/peft.h"
#include "models/pissa.h"
#include "models/weights.h"

namespace finetune {

/// model.quantize and model.double_quantize.
Quantization quantization_of(const ModelConfig& config);

/// What becomes of a checkpoint's weights: they are read (read_weights), or config.json and, where there is one, the
/// tokenizer are all that is wanted.
enum class Weights { read, sizes_only };

struct OpenedModel {
  std::vector<at::Device> devices;                         ///< one lane each
  ops::KernelTable kernels = ops::KernelTable::written();  ///< of every lane
  bool sizes_only = false;                 ///< the weights are not read yet: nothing can be computed with it
  std::unique_ptr<Tokenizer> tokenizer;    ///< null only with Weights::sizes_only, where the checkpoint has none
  BaseModel checkpoint;                    ///< its tensors only until copy_to_devices
  at::ScalarType full_dtype = at::kFloat;  ///< model.dtype with train.method: full
  std::optional<PeftAdapter> adapter;      ///< model.adapter
  std::vector<DecoderBase> bases;          ///< one per lane; lanes on the same device share storage
  /// Per lane; empty unless some trial begins as pissa.
  std::vector<std::shared_ptr<const PrincipalParts>> principal;
};

/// Everything but the weights, whose names and shapes are looked at where they are to be read: what is wrong, or does
/// not fit into memory, is found before they are. Sets model.dtype and run.kernels to what they came to; adds to
/// `notes` what is said once: why no GPU is used, the precision, tensors of the adapter that match nothing. `say`: what
/// takes long, before it does. Throws Error (bad_input).
OpenedModel open_model(RunConfig& config, std::vector<std::string>& notes, Weights weights = Weights::read,
                       const std::function<void(const std::string&)>& say = {});

/// The weights of the checkpoint, on the host. Throws Error (bad_input) naming file and tensor.
void read_weights(OpenedModel& model, const ModelConfig& config);

/// A model of these sizes that has no checkpoint: devices, precision and kernels are settled in the same way, nothing
/// can be computed with it until make_random_bases.
OpenedModel open_sizes(RunConfig& config, const DecoderOptions& options, std::vector<std::string>& notes,
                       const std::function<void(const std::string&)>& say = {});
void make_random_bases(OpenedModel& model);

/// Makes the bases. On its own, so that whatever else may be wrong is found before a device is filled.
void copy_to_devices(OpenedModel& model);

}  // namespace finetune
