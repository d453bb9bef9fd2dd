// The adapter products in bf16, on tensor cores (adapter_tensor.cu); in fp32 they are in adapter.cu.
#pragma once

#include "kernels/api/adapter.h"

namespace finetune::kernels::cuda {

Status adapter_forward_bf16(const AdapterForward& args, Stream stream);
Status adapter_backward_bf16(const AdapterBackward& args, Stream stream);

}  // namespace finetune::kernels::cuda
