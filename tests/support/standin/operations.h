// What ATen's operations do on a stand-in.
#pragma once

#include <ATen/core/Tensor.h>

#include "support/standin/machine.h"

namespace finetune::standin {

/// The same memory as a tensor of the processor, to compute with.
at::Tensor on_processor(const at::Tensor& tensor);
/// A new tensor of a stand-in with these values.
at::Tensor on_device(const at::Tensor& values, int device, const Moment& work, const std::string& what);

/// The block of a tensor; null where it has no elements. The machine's mutex is held.
Block* block_of(const at::Tensor& tensor);

void register_operations();
void register_copies();

}  // namespace finetune::standin
