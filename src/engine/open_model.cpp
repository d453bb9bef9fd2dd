#include "engine/open_model.h"

#include <algorithm>
#include <map>
#include <memory>

#include "core/cache_folder.h"
#include "engine/calibration/calibrate_apart.h"
#include "engine/devices.h"
#include "engine/kernel_choice.h"
#include "engine/precision.h"
#include "engine/random_model.h"
#include "engine/shapes.h"
#include "models/shards.h"

namespace finetune {
namespace {

// What is said of kernels, and how.
struct Words {
  std::vector<std::string>& notes;
  const std::function<void(const std::string&)>& now;
};
using SizesIn = std::function<DecoderOptions(at::ScalarType)>;

// A calibration belongs to a kind of device, of which there may be several.
CalibratedKernels calibration_of(const SizesIn& sizes, std::int64_t rank, at::ScalarType dtype, const Words& words) {
  auto known = std::make_shared<std::map<std::string, ops::KernelTable>>();
  return [=](at::Device device) {
    const CalibrationRequest request{
        .device = device.str(), .dtype = dtype, .shape = kernel_shape_of(sizes(dtype), rank)};
    const auto [found, fresh] = known->try_emplace(calibration_key(request).dump());
    const auto note = [&words](const std::string& line) { words.notes.push_back(line); };
    if (fresh) {
      found->second = calibrated_kernels(request, CalibrationCache(cache_folder(), note), calibration_program(),
                                         {.note = note, .now = words.now});
    }
    return found->second;
  };
}

// What the run computes with: run.devices, model.dtype and run.kernels, as they are from here on. Kernels are tried
// before any context is made on a GPU, so that those in the other process have its memory too; never for what computes
// nothing.
Precision settle_devices(OpenedModel& model, RunConfig& config, const SizesIn& sizes, bool computes,
                         const Words& words) {
  model.devices = resolve_devices(config.run.devices);
  if (auto note = note_missing_gpus(config.run.devices)) words.notes.push_back(std::move(*note));
  const DecoderOptions options = sizes(at::kFloat);
  Precision precision =
      settle_precision(config.model.dtype, {.width = options.width, .full = config.train.full()}, model.devices,
                       [&] { return measure_products(options.width, options.mlp_width); });
  const auto untried = [](at::Device) { return ops::KernelTable::composition(); };
  model.kernels = settle_kernels(
      config.run.kernels, model.devices, precision.dtype,
      computes ? calibration_of(sizes, config.train.lora.rank, precision.dtype, words) : CalibratedKernels(untried));
  config.model.dtype = dtype_name(precision.dtype);
  model.full_dtype = dtype_of_full(precision);
  config.run.kernels = resolved_kernels(model.kernels, model.devices, precision.dtype);
  return precision;
}

}  // namespace

Quantization quantization_of(const ModelConfig& config) {
  if (config.quantize == Quantize::none) return {};
  return {.code = config.quantize == Quantize::nf4 ? kernels::Code::nf4 : kernels::Code::int8,
          .doubled = config.double_quantize};
}

OpenedModel open_model(RunConfig& config, std::vector<std::string>& notes, Weights weights,
                       const std::function<void(const std::string&)>& say) {
  OpenedModel model;
  model.sizes_only = true;
  const bool computes = weights == Weights::read;
  const auto sizes = [&config](at::ScalarType dtype) {
    return read_sizes(config.model.path, dtype, quantization_of(config.model)).options;
  };
  const Precision precision = settle_devices(model, config, sizes, computes, {notes, say});
  if (computes && !has_weights(config.model.path)) open_shards(config.model.path);  // says what is missing
  model.checkpoint = read_sizes(config.model.path, precision.dtype, quantization_of(config.model));
  if (computes || has_tokenizer(config.model.path)) model.tokenizer = load_tokenizer(config.model.path);
  std::ranges::copy(model.checkpoint.notes, std::back_inserter(notes));
  for (auto& note : precision_notes(precision, model.checkpoint.file_dtype)) notes.push_back(std::move(note));
  if (config.model.adapter) {
    model.adapter = load_peft_adapter(*config.model.adapter, model.checkpoint.options);
    std::ranges::move(adapter_notes(*config.model.adapter, *model.adapter), std::back_inserter(notes));
  }
  return model;
}

void read_weights(OpenedModel& model, const ModelConfig& config) {
  model.checkpoint = load_checkpoint(config.path, model.checkpoint.dtype, model.checkpoint.quantization);
  model.sizes_only = false;
}

OpenedModel open_sizes(RunConfig& config, const DecoderOptions& options, std::vector<std::string>& notes,
                       const std::function<void(const std::string&)>& say) {
  OpenedModel model;
  const auto sizes = [&options](at::ScalarType) { return options; };
  const Precision precision = settle_devices(model, config, sizes, true, {notes, say});
  model.checkpoint.options = options;
  model.checkpoint.dtype = precision.dtype;
  model.sizes_only = true;
  return model;
}

void make_random_bases(OpenedModel& model) {
  model.bases.clear();
  for (const at::Device& device : model.devices)
    model.bases.push_back(random_base(model.checkpoint.options, model.checkpoint.dtype, device));
  model.sizes_only = false;
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
