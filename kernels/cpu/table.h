// The CPU kernels: fp32, pointers and sizes only. The same source is compiled for several instruction sets; table()
// gives the best one this processor runs. Every function works on a range of independent items, single-threaded; an
// item's result is the same bits whatever the range and whatever else is in the batch.
//
// Strides are in elements, between rows; elements of a row are contiguous.
#pragma once

#include <cstdint>

namespace finetune::cpu {

/// C[rows, n] = or += alpha * X B; X element (r, k) is x[r * x_row + k * x_k], B and C are row-major. Each element of C
/// is one sum over k in order.
struct Product {
  const float* x;
  std::int64_t x_row, x_k;
  const float* b;
  std::int64_t b_row;
  float* c;
  std::int64_t c_row;
  std::int64_t rows, n, depth;
  float alpha = 1;
  bool add = false;
};

/// One segment's attention for one query head (forward) or one key/value head (backward). Causal; window 0 = all.
struct AttentionHead {
  const float *q, *k, *v;
  std::int64_t q_row, k_row, v_row;
  std::int64_t tokens, dim, window;
  float scale;
};

/// One AdamW step's constants, rounded from double each on its own: 1 - beta2 from a rounded beta2 would be off by
/// 1e-5.
struct AdamWStep {
  float grad_scale, keep;                     ///< clipping; 1 - rate * decay
  float new1, beta2, new2;                    ///< 1 - beta1, beta2, 1 - beta2
  float step_size, root_correction, epsilon;  ///< rate / (1 - beta1^t), sqrt(1 - beta2^t)
};

struct Table {
  const char* name;
  void (*product)(const Product&);
  /// y = x * rstd * w; saves rstd.
  void (*rmsnorm_forward)(const float* x, std::int64_t x_row, const float* w, float epsilon, float* y, float* rstd,
                          std::int64_t rows, std::int64_t width);
  void (*rmsnorm_backward)(const float* dy, const float* x, std::int64_t x_row, const float* w, const float* rstd,
                           float* dx, bool accumulate, std::int64_t rows, std::int64_t width);
  void (*swiglu_forward)(const float* gate, const float* up, std::int64_t in_row, float* h, std::int64_t rows,
                         std::int64_t width);
  void (*swiglu_backward)(const float* dh, const float* gate, const float* up, std::int64_t in_row, float* dgate,
                          float* dup, std::int64_t out_row, std::int64_t rows, std::int64_t width);
  /// Rows of `heads` heads of `dim`, rotated in place; sign -1 is the inverse.
  void (*rotary)(float* x, std::int64_t x_row, const float* cos, const float* sin, const std::int32_t* positions,
                 float sign, std::int64_t rows, std::int64_t heads, std::int64_t dim);
  /// dlogits may be logits or null. correct: argmax (the first of equals) is the target.
  void (*cross_entropy)(const float* logits, const std::int64_t* targets, const float* scale, float* nll,
                        std::uint8_t* correct, float* dlogits, std::int64_t rows, std::int64_t vocabulary);
  /// o and lse of one head. `scratch`: attention_scratch(tokens, dim) floats.
  void (*attention_forward)(const AttentionHead& head, float* o, std::int64_t o_row, float* lse, float* scratch);
  /// Adds to dk and dv (zeroed by the caller), writes dq.
  void (*attention_backward)(const AttentionHead& head, const float* d_o, const float* o, std::int64_t o_row,
                             const float* lse, float* dq, std::int64_t dq_row, float* dk, std::int64_t dk_row,
                             float* dv, std::int64_t dv_row, float* scratch);
  /// params, first, second of [begin, end) after a step; gradients are scaled, then zeroed.
  void (*adamw)(float* params, float* grads, float* first, float* second, std::int64_t count, const AdamWStep& step);
  double (*sum_of_squares)(const float* values, std::int64_t count);
};

const Table& table();

/// Floats of scratch that attention needs.
std::int64_t attention_scratch(std::int64_t tokens, std::int64_t dim);

}  // namespace finetune::cpu
