// Tries kernels beside the composition of LibTorch's operations: are they right, the same bits twice, and how fast?
//
// A kernel is right where every output is finite and within error_bound of the composition's on the same inputs in a
// wider dtype (fp64 for fp32, fp32 for bf16), and two runs give equal bits. Outputs hold NaN before a call, so what is
// not written shows. Times are the median of ten calls after three, the two sides in turn; on a GPU over so many copies
// of the tensors that its caches hold none of them.
#pragma once

#include <vector>

#include "engine/calibration/device_clock.h"
#include "engine/calibration/kernel_case.h"
#include "engine/calibration/measured.h"

namespace finetune {

/// What is compared, and how; tests put kernels and a clock of their own in.
struct Contest {
  const ops::Backend& composition;
  const ops::Backend& written;
  DeviceClock clock;
  double seconds = 0.4;  ///< no more calls of a case are timed than fit, but three
};
/// Of a device: the composition and the kernels that run there; the composition again where there are none.
Contest contest_on(at::Device device);

/// What a kernel throws is a fault of it; what the composition throws is passed on.
Measured measure_case(const KernelCase& one, const Contest& contest);

/// All operations at all sizes.
std::vector<Measured> measure_kernels(const KernelShape& shape, at::ScalarType dtype, std::span<const CaseSize> sizes,
                                      at::Device device, const Contest& contest);

/// Few tokens and a full pass' worth, as large as a device of this kind is used with.
std::vector<CaseSize> usual_sizes(at::Device device);

}  // namespace finetune
