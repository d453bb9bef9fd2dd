// Elements of packed matrices: kernels/api/packed.h.
#pragma once

#include "kernels/api/packed.h"

namespace finetune::kernels::ref {

/// Every product and sum is rounded to float, as in bitsandbytes: every implementation gives the same bits.
float packed_element(const Packed& from, std::int64_t index);

}  // namespace finetune::kernels::ref
