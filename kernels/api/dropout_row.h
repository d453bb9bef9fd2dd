// What the dropout mask of one row is keyed on, as the words that Philox takes: kernels/api/dropout.h makes it.
#pragma once

#include <cstdint>

namespace finetune::kernels {

struct DropoutRow {
  std::uint32_t token, step, key;  ///< the last three words of the counter; the first is the column / 4
  std::uint32_t seed[2];
  float rate;  ///< the share that is dropped
};

}  // namespace finetune::kernels
