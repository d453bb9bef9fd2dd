// Backward of a product whose outputs have magnitudes of their own (DoRA, Liu et al., 2024, eq. 5 to 7, norms held
// constant): y = factor * z with factor = m / norm, by output.
#pragma once

#include "kernels/api/kernel.h"

namespace finetune::kernels {

/// dz = dy * factor; dm += the sum over rows, in their order, of dy * z / norm. dz may be dy.
struct MagnitudeBackward {
  Type type;
  const void *dy, *z;
  std::int64_t dy_row, z_row;
  const float *factor, *inverse_norm;  ///< [width]
  void* dz;
  std::int64_t dz_row;
  float* dm;  ///< [width]
  std::int64_t rows, width;
};

namespace ref {
Status magnitude_backward(const MagnitudeBackward& args, Stream stream);
}

namespace cpu {
Status magnitude_backward(const MagnitudeBackward& args, Stream stream);
}

}  // namespace finetune::kernels
