// Rotary position embedding (Su et al., 2021, eq. 34) over pairs (i, i + dim/2), in place.
#pragma once

#include "kernels/api/kernel.h"

namespace finetune::kernels {

/// Row r holds `heads` heads, of each of which the first `dim` elements are turned; its angle is row positions[r] of
/// the tables. cos and sin are rounded to the storage type first, and so is each product.
struct Rotary {
  Type type;
  void* x;
  std::int64_t x_row, x_head;  ///< elements from row to row, from head to head
  const float *cos, *sin;      ///< [positions, dim / 2]
  const std::int32_t* positions;
  bool inverse;  ///< the other way round: the backward
  std::int64_t rows, heads, dim;
};

namespace ref {
Status rotary(const Rotary& args, Stream stream);
}

namespace cpu {
Status rotary(const Rotary& args, Stream stream);
}  // namespace cpu

namespace cuda {
Status rotary(const Rotary& args, Stream stream);
}

}  // namespace finetune::kernels
