// Floating-point operations and bytes that an operation needs, from its shapes. A fused multiply-add is two operations;
// bytes are those of every operand read or written once, as if the caches held the rest. What the table of a profile
// calls GFLOP/s and GB/s is this work over the time, so it compares with the machine's rates, not with counters.
#pragma once

#include <cstdint>
#include <span>

namespace finetune::ops {

struct Work {
  double flops = 0, bytes = 0;

  Work& operator+=(const Work& other) {
    flops += other.flops;
    bytes += other.bytes;
    return *this;
  }
};

/// An exponential, a hyperbolic tangent or a root: a polynomial and what is around it.
inline constexpr double kExponentialFlops = 16;

/// y [rows, outputs] (+)= x [rows, depth] w [depth, outputs], elements of `size` bytes.
Work product_work(std::int64_t rows, std::int64_t depth, std::int64_t outputs, std::int64_t size, bool accumulate);

/// `flops` for each of `elements`, which are read or written `passes` times.
Work elementwise_work(std::int64_t elements, double flops, double passes, std::int64_t size);

/// A projection of `inputs` and `outputs` with an adapter of `rank` on `rows`; x apart, which projections share.
Work adapter_forward_work(std::int64_t rows, std::int64_t inputs, std::int64_t outputs, std::int64_t rank,
                          std::int64_t size);
/// `with_input`: the gradient of x too, which projections share as well.
Work adapter_backward_work(std::int64_t rows, std::int64_t inputs, std::int64_t outputs, std::int64_t rank,
                           std::int64_t size, bool with_input);

/// Causal attention over segments with these `bounds`; a token sees `window` tokens at most (0: all before it).
struct AttentionShape {
  std::span<const std::int32_t> bounds;
  std::int64_t heads = 0, kv_heads = 0, dim = 0, window = 0, size = 4;
};
Work attention_forward_work(const AttentionShape& shape);
Work attention_backward_work(const AttentionShape& shape);

}  // namespace finetune::ops
