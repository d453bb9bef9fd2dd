// Where a sequence stands among the loss rows of a pass. Torch-free.
#pragma once

#include <cstdint>

namespace finetune {

/// Loss rows [begin, end) of a sequence.
struct SequenceRows {
  std::int64_t begin = 0, end = 0;
  std::int64_t example = 0;  ///< which of the pass: sequences of one example are neighbours
  double reference = 0;      ///< its nll under the reference model; 0 without one
};

}  // namespace finetune
