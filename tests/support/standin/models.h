// Bases of tests on a device that is not there.
#pragma once

#include <ATen/ATen.h>

#include "models/weights.h"

namespace finetune::testing {

inline DecoderBase on(const DecoderBase& base, at::Device device) {
  DecoderBase moved = base;
  for_each_tensor(moved.options, moved, [&](const TensorRows&, at::Tensor& tensor) {
    if (tensor.defined()) tensor = tensor.to(device);
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

}  // namespace finetune::testing
