// Parts of packed matrices for the kernels that multiply with them.
#pragma once

#include <cstdint>

#include "kernels/api/packed.h"

namespace finetune::kernels::cpu {

/// Elements [begin, end) of a matrix, row by row, on the calling thread.
void unpack(const Packed& from, std::int64_t begin, std::int64_t end, float* to);

}  // namespace finetune::kernels::cpu
