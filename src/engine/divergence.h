// kto's KL term, as TRL 1.16 estimates it: by how much a trial finds answers likelier than the reference does, on
// average over its batch, where every answer stands behind another example's prompt; at least 0. It is of the whole
// batch, however that is cut into passes, and no gradient goes through it. Torch-free.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "engine/pack_data.h"

namespace finetune {

/// Each example's prompt with the answer of the one before it, the first with that of the last; cut to `max_length`
/// tokens. Every example has one sequence, whose `answers` says where the answer begins.
std::vector<Example> mismatched(const Batch& batch, std::int64_t max_length);

/// Nlls of mismatched answers under the reference. A pair of examples that has come once is looked up, so trials that
/// share their order have them computed once.
class MismatchedReferences {
 public:
  using Compute = std::function<std::vector<std::vector<double>>(std::span<const Example>)>;

  /// Summed over the batch.
  double sum(const Batch& batch, std::span<const Example> mismatched, const Compute& compute);

 private:
  // Of a prompt's and an answer's example, told by where their ids lie.
  std::map<std::pair<const std::int32_t*, const std::int32_t*>, double> known_;
};

}  // namespace finetune
