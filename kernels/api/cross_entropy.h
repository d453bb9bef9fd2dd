// Rows of logits against one target each: loss, whether the largest logit is the target, and the gradient; and the
// sums of such losses over each trial's rows.
#pragma once

#include "kernels/api/kernel.h"

namespace finetune::kernels {

/// nll = log-sum-exp - logit of the target, in fp32. correct: the first largest logit is the target's.
/// dlogits = (softmax - onehot) * scale; may be `logits` itself, null = not wanted. A row with a NaN has a NaN nll.
struct CrossEntropy {
  Type type;
  const void* logits;
  std::int64_t logits_row;
  const std::int64_t* targets;
  const float* scale;  ///< one per row; read only for dlogits
  float* nll;
  std::uint8_t* correct;
  void* dlogits;
  std::int64_t dlogits_row;
  std::int64_t rows, vocabulary;
};

/// Rows [begin, end), whose sum is added to number `to`.
struct RowRange {
  std::int64_t begin, end, to;
};

/// sums[to] += sum of values[begin, end) in double, in an order that depends on the range's length only. No `to` twice.
struct RowSums {
  const float* values;
  const RowRange* ranges;
  std::int64_t range_count;
  double* sums;
};

namespace ref {
Status cross_entropy(const CrossEntropy& args, Stream stream);
Status row_sums(const RowSums& args, Stream stream);
}  // namespace ref

namespace cpu {
Status cross_entropy(const CrossEntropy& args, Stream stream);
Status row_sums(const RowSums& args, Stream stream);
}  // namespace cpu

namespace cuda {
Status cross_entropy(const CrossEntropy& args, Stream stream);
Status row_sums(const RowSums& args, Stream stream);
}  // namespace cuda

}  // namespace finetune::kernels
