#include "engine/open_model.h"

#include <algorithm>

#include "engine/devices.h"
#include "engine/kernel_choice.h"
#include "engine/precision.h"

namespace finetune {
namespace {

// What the run computes with: run.devices, model.dtype and run.kernels, as they are from here on.
Precision settle_devices(OpenedModel& model, RunConfig& config, std::vector<std::string>& notes) {
  model.devices = resolve_devices(config.run.devices);
  if (auto note = note_missing_gpus(config.run.devices)) notes.push_back(std::move(*note));
  Precision precision = settle_precision(config.model.dtype, model.devices, measure_products);
  model.kernels = settle_kernels(config.run.kernels, model.devices, precision.dtype);
  config.model.dtype = dtype_name(precision.dtype);
  config.run.kernels = resolved_kernels(model.kernels, model.devices, precision.dtype);
  return precision;
}

}  // namespace

Quantization quantization_of(const ModelConfig& config) {
  if (config.quantize == Quantize::none) return {};
  return {.code = config.quantize == Quantize::nf4 ? kernels::Code::nf4 : kernels::Code::int8,
          .doubled = config.double_quantize};
}

OpenedModel open_model(RunConfig& config, std::vector<std::string>& notes, Weights weights) {
  OpenedModel model;
  const Precision precision = settle_devices(model, config, notes);
  model.sizes_only = weights == Weights::sizes_only;
  if (!model.sizes_only || has_tokenizer(config.model.path)) model.tokenizer = load_tokenizer(config.model.path);
  const auto read = model.sizes_only ? read_sizes : load_checkpoint;
  model.checkpoint = read(config.model.path, precision.dtype, quantization_of(config.model));
  std::ranges::copy(model.checkpoint.notes, std::back_inserter(notes));
  for (auto& note : precision_notes(precision, model.checkpoint.file_dtype)) notes.push_back(std::move(note));
  if (config.model.adapter) {
    model.adapter = load_peft_adapter(*config.model.adapter, model.checkpoint.options);
    std::ranges::move(adapter_notes(*config.model.adapter, *model.adapter), std::back_inserter(notes));
  }
  return model;
}

void copy_to_devices(OpenedModel& model) {
  for (const at::Device& device : model.devices) {
    const auto same =
        std::ranges::find_if(model.bases, [&](const DecoderBase& base) { return base.embed_VD.device() == device; });
    if (same != model.bases.end()) {
      model.bases.push_back(DecoderBase(*same));  // shares storage
    } else {
      model.bases.push_back(make_base(model.checkpoint, device));
    }
  }
  model.checkpoint.weights = {};  // the bases hold them
  model.checkpoint.packed.clear();
}

}  // namespace finetune
