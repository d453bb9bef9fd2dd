// What tests of devices train: three trials that differ in everything a pack may mix, and a base on any device.
#pragma once

#include <ATen/ATen.h>

#include "config/run_config.h"
#include "models/weights.h"

namespace finetune::testing {

inline TrainConfig device_trial(std::size_t i) {
  TrainConfig c;
  c.steps = 20;
  c.warmup_ratio = 0;
  c.learning_rate = 1e-3 * static_cast<double>(i + 1);
  c.batch_size = 2 + static_cast<std::int64_t>(i);
  c.seed = static_cast<std::int64_t>(i);
  c.lora.rank = std::vector<std::int64_t>{4, 16, 24}[i % 3];
  c.lora.dropout = i == 1 ? 0.2 : 0.0;
  if (i == 2) c.lora.targets = {"attention"};
  return c;
}

/// Rotary tables keep their dtype, packed weights are only moved.
inline DecoderBase on(const DecoderBase& base, at::Device device, at::ScalarType dtype) {
  DecoderBase moved = base;
  for_each_tensor(moved.options, moved, [&](const TensorRows&, at::Tensor& tensor) {
    if (tensor.defined()) tensor = tensor.to(device, dtype);
  });
  if (moved.options.tied_head) moved.head_VD = moved.embed_VD;
  for (at::Tensor* table : {&moved.cos_PK, &moved.sin_PK, &moved.local_cos_PK, &moved.local_sin_PK}) {
    if (table->defined()) *table = table->to(device);
  }
  for (PackedBlock& block : moved.packed) {
    for (PackedStack& stack : block) {
      for (ops::PackedMatrix& matrix : stack) matrix = to_device(matrix, device);
    }
  }
  return moved;
}
inline DecoderBase on(const DecoderBase& base, at::Device device) {
  return on(base, device, base.embed_VD.scalar_type());
}

}  // namespace finetune::testing
