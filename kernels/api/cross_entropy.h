// Rows of logits against one target each: loss, whether the largest logit is the target, and the gradient.
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

namespace ref {
Status cross_entropy(const CrossEntropy& args, Stream stream);
}

namespace cuda {
Status cross_entropy(const CrossEntropy& args, Stream stream);
}

}  // namespace finetune::kernels
