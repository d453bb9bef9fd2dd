// LoRA and DoRA adapters in PEFT's format: adapter_config.json and adapter_model.safetensors.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "models/adapter_patterns.h"
#include "models/decoder_options.h"
#include "models/saved_modules.h"
#include "models/targets.h"

namespace finetune {

struct AdapterSpec {
  std::int64_t rank = 16;
  double alpha = 32;
  double dropout = 0;
  bool rslora = false;
  ProjectionSet targets;
  bool dora = false;
  SavedModules saved = {};
  AdapterPatterns patterns = {};
};

ModuleRanks module_ranks(const std::string& where, const AdapterSpec& spec, const DecoderOptions& model);

/// One adapter's matrices, fp32 on the CPU; undefined where a projection is not adapted.
class AdapterTensors {
 public:
  struct Pair {
    at::Tensor a_RD, b_OR;
    at::Tensor m_O = {};  ///< magnitudes, with DoRA
  };
  explicit AdapterTensors(std::int64_t layers = 0) : pairs_(static_cast<std::size_t>(layers)) {}
  std::int64_t layers() const { return static_cast<std::int64_t>(pairs_.size()); }
  Pair& at(std::int64_t layer, Projection p) { return pairs_[static_cast<std::size_t>(layer)][p]; }
  const Pair& at(std::int64_t layer, Projection p) const { return pairs_[static_cast<std::size_t>(layer)][p]; }

  at::Tensor embed_VD, head_VD;  ///< modules that stand for the base's; undefined: none

 private:
  std::vector<PerProjection<Pair>> pairs_;
};

struct PeftAdapter {
  AdapterSpec spec;
  AdapterTensors tensors;
  std::vector<std::string> unmatched;  ///< names in target_modules that the model has no module for
  std::vector<std::string> idle;       ///< patterns of ranks and alphas that hold for no module
};

/// Reads fp32, bf16 and fp16. Throws Error (bad_input) naming file, key or tensor: what the engine cannot represent
/// (biases, initialisations that change the base ...) is refused, and so are missing,
/// foreign, misshaped and non-finite tensors.
PeftAdapter load_peft_adapter(const std::filesystem::path& folder, const DecoderOptions& model);

/// What was passed over, to be said once.
std::vector<std::string> adapter_notes(const std::string& folder, const PeftAdapter& adapter);

/// Writes both files into `folder` (created when missing), tensors in fp32, each file atomically.
void save_peft_adapter(const std::filesystem::path& folder, const DecoderOptions& model, const PeftAdapter& adapter,
                       const std::string& base_model_path);

}  // namespace finetune
