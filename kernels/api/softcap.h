// Soft-capped logits (Gemma Team, "Gemma 2", 2024, section 2): x becomes cap * tanh(x / cap), in place.
#pragma once

#include "kernels/api/kernel.h"

namespace finetune::kernels {

struct Softcap {
  Type type;
  float cap;
  void* x;
  std::int64_t x_row;
  void* slope;  ///< of the new x by the old, which a backward pass multiplies by; may be null
  std::int64_t slope_row;
  std::int64_t rows, width;
};

namespace ref {
Status softcap(const Softcap& args, Stream stream);
}

namespace cpu {
Status softcap(const Softcap& args, Stream stream);
}

}  // namespace finetune::kernels
