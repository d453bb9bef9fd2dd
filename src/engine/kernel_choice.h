// run.kernels: composition of LibTorch's operations, or kernels of our own (design contract, 13.6).
#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <span>
#include <string>

#include "kernels/torch/backend.h"

namespace finetune {

/// What run.kernels asks for on these devices. Throws Error (bad_input) where `written` cannot be had.
ops::KernelChoice settle_kernels(const std::string& asked, std::span<const at::Device> devices, at::ScalarType dtype);

/// As it is written to run.yaml: `auto` becomes what it means here where that is one of the two, as on a CPU. On a GPU
/// it stays: there it is the table's own mixture (kernels/torch/table.cpp).
std::string resolved_kernels(ops::KernelChoice choice, std::span<const at::Device> devices, at::ScalarType dtype);

}  // namespace finetune
