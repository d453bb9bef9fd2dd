// run.kernels: composition of LibTorch's operations, or kernels of our own (design contract, 13.6).
#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "kernels/torch/backend.h"

namespace finetune {

/// What a calibration chose for a GPU that has kernels: engine/calibration.
using CalibratedKernels = std::function<ops::KernelTable(at::Device)>;

/// What run.kernels asks for on these devices. `auto`: on the processor every kernel there is, on GPUs what is right
/// and fast enough on each of them; one table for all, so that a trial's numbers do not depend on where it runs. Throws
/// Error (bad_input) where kernels that were asked for by name cannot be had.
ops::KernelTable settle_kernels(const std::vector<std::string>& asked, std::span<const at::Device> devices,
                                at::ScalarType dtype, const CalibratedKernels& calibrated);

/// As it is written to run.yaml, from where it is replayed: written, composition, or the operations that have kernels.
std::vector<std::string> resolved_kernels(const ops::KernelTable& table, std::span<const at::Device> devices,
                                          at::ScalarType dtype);

/// The operations with kernels by name, and "graphs"; empty for the composition.
std::vector<std::string> names_of(const ops::KernelTable& table);

}  // namespace finetune
