// What the files of the composition share.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "kernels/torch/ops.h"

namespace finetune::ops {

/// Scores that attention holds at once, unless one segment has more: 256 MB in fp32, of which the backward holds four.
constexpr std::int64_t kScoresAtOnce = std::int64_t{1} << 26;
/// Elements of a slot that the optimizer works on at once: its temporaries are a few of these in fp32 and fp64, where a
/// slot of full fine-tuning has billions.
constexpr std::int64_t kOptimizerSlice = std::int64_t{1} << 24;

/// What the composition computes in.
inline at::ScalarType wide(const at::Tensor& x) {
  return x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
}

/// The compositions, under the names of ops.h.
namespace composed {

/// These have no kernel on CUDA.
decltype(ops::softcap) softcap;
decltype(ops::magnitude_backward) magnitude_backward;

/// kernels/torch/composite_attention.cpp: by scores of whole segments. Segments of one length are one batch of
/// products, up to a bound on the scores.
decltype(ops::attention_forward) attention_forward;
decltype(ops::attention_backward) attention_backward;

/// kernels/torch/composite_decoding.cpp: rows that see equally many blocks are one batch of products.
decltype(ops::cache_append) cache_append;
decltype(ops::cached_attention) cached_attention;
decltype(ops::row_product) row_product;

/// kernels/torch/composite_packed.cpp: the whole matrix at once.
decltype(ops::packed_row_product) packed_row_product;
decltype(ops::dequantize) dequantize;

}  // namespace composed
}  // namespace finetune::ops
