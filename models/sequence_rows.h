// Where a sequence stands among the loss rows of a pass, and what of its trial an objective computes with. Torch-free.
#pragma once

#include <cstddef>
#include <cstdint>

namespace finetune {

/// Loss rows [begin, end) of a sequence.
struct SequenceRows {
  std::int64_t begin = 0, end = 0;
  std::int64_t answer = 0;   ///< [answer, end) are the answer's; those before it the prompt's, where it is learned too
  std::int64_t example = 0;  ///< which of the pass: sequences of one example are neighbours
  std::size_t trial = 0;     ///< which of Pack::trials
  double reference = 0;      ///< its nll under the reference model; 0 without one
  bool desirable = true;     ///< its example's label
};

/// One trial of a pass. Counts are of its whole batch, of which a pass may hold a part.
struct WeighedTrial {
  double beta = 0.1, gamma = 0.5;  ///< train.beta, train.gamma
  double examples = 1;
  double desirable = 1;   ///< examples whose label is true
  double first_rows = 1;  ///< loss rows of each example's first sequence
  double divergence =
      0;  ///< of the trial from the reference (engine/divergence.h); 0 where the objective asks for none
};

}  // namespace finetune
