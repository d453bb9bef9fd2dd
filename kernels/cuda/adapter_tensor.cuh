// The adapter products in bf16, on tensor cores (adapter_tensor_*.cu); in fp32 they are in adapter.cu.
#pragma once

#include "kernels/api/adapter.h"

namespace finetune::kernels::cuda {

Status adapter_forward_bf16(const AdapterForward& args, Stream stream);
Status adapter_backward_bf16(const AdapterBackward& args, Stream stream);
/// The part of the backward that adds to da and db; ds is there.
Status adapter_weight_gradients_bf16(const AdapterBackward& args, Stream stream);

}  // namespace finetune::kernels::cuda
