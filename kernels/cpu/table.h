// What is compiled once for each instruction set: fp32, single-threaded, on a range of independent items, so that an
// item's result is the same bits whatever the range and whatever else is in the batch. table() gives the best one this
// processor runs; the kernels of kernels/api (rows.cpp, attention.cpp, adapter.cpp, adamw.cpp) call it in parallel.
#pragma once

#include <cstdint>

#include "kernels/api/attention.h"
#include "kernels/api/cached_attention.h"
#include "kernels/api/cross_entropy.h"
#include "kernels/api/dropout_row.h"
#include "kernels/api/glu.h"
#include "kernels/api/magnitude.h"
#include "kernels/api/packed.h"
#include "kernels/api/rmsnorm.h"
#include "kernels/api/rotary.h"
#include "kernels/api/row_product.h"
#include "kernels/api/softcap.h"
#include "kernels/cpu/rounded_unit.h"

namespace finetune::kernels::cpu {

/// What becomes of a product: it is written, added to what stands there, or its sum goes on from what stands there,
/// which was the sum over what came before (alpha is 1 then).
enum class Into : std::uint8_t { write, add, extend };

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
  Into into = Into::write;
};

/// to[c][r] = or += alpha * from[r][c]; both row-major, and apart.
struct Transpose {
  const float* from;
  std::int64_t row;
  float* to;
  std::int64_t to_row;
  std::int64_t rows, columns;
  float alpha = 1;
  bool add = false;
};

/// Constants of an AdamW step, rounded from double each on its own: kernels/api/adamw.h.
struct AdamWStep {
  float grad_scale, keep;                     ///< clipping; 1 - rate * decay
  float new1, beta2, new2;                    ///< 1 - beta1, beta2, 1 - beta2
  float step_size, root_correction, epsilon;  ///< rate / (1 - beta1^t), sqrt(1 - beta2^t)
};

/// Rows [begin, end) of a call.
template <typename Args>
using RowKernel = void (*)(const Args& args, std::int64_t begin, std::int64_t end);

struct Table {
  const char* name;
  void (*product)(const Product&);
  void (*transpose)(const Transpose&);
  RowKernel<RmsnormForward> rmsnorm_forward;
  RowKernel<RmsnormBackward> rmsnorm_backward;
  RowKernel<GluForward> glu_forward;
  RowKernel<GluBackward> glu_backward;
  RowKernel<Rotary> rotary;
  RowKernel<Softcap> softcap;
  RowKernel<CrossEntropy> cross_entropy;
  /// One query head of one segment; `scratch`: attention_scratch(tokens, dim) floats.
  void (*attention_forward)(const AttentionForward& args, std::int64_t segment, std::int64_t head, float* scratch);
  /// The same, writing dq and adding to dk and dv.
  void (*attention_backward)(const AttentionBackward& args, std::int64_t segment, std::int64_t head, float* scratch);
  /// One row and key/value head; `scratch`: cached_attention_scratch(args) floats.
  void (*cached_attention)(const CachedAttention& args, std::int64_t row, std::int64_t kv_head, float* scratch);
  RowKernel<MagnitudeBackward> magnitude_backward;  ///< of columns [begin, end), of all rows
  RowKernel<RowProduct> row_product;                ///< of outputs [begin, end), of all rows
  /// Up to 16 rows, or outputs, and 32 inputs as a tile of rounded_unit.h: of numbers, which are rounded, of weights
  /// [outputs, inputs], and of weights [inputs, outputs].
  void (*pack_rows)(const float* x, std::int64_t x_row, std::int64_t rows, std::int64_t inputs, std::uint16_t* to);
  void (*pack_by_outputs)(const std::uint16_t* w, std::int64_t w_row, std::int64_t outputs, std::int64_t inputs,
                          std::uint16_t* to);
  void (*pack_by_inputs)(const std::uint16_t* w, std::int64_t w_row, std::int64_t outputs, std::int64_t inputs,
                         std::uint16_t* to);
  /// To the nearest bfloat16, ties to even.
  void (*round_row)(const float* from, std::int64_t count, std::uint16_t* to);
  void (*rounded_block)(const RoundedBlock& block);
  /// Elements [begin, end) of all (kernels/api/packed.h); `absmax`: that of the block of `begin`, and those behind it.
  void (*unpack_nf4)(const std::uint8_t* codes, const float* absmax, std::int64_t begin, std::int64_t end, float* to);
  /// Elements of one row.
  void (*unpack_int8)(const std::int8_t* codes, float absmax, std::int64_t count, float* to);
  /// What dropout_row (kernels/api/dropout.h) gives, bit for bit.
  void (*dropout_row)(const DropoutRow& row, float* factors, std::int64_t width);
  /// params, first, second of `count` elements after a step; gradients are scaled, then zeroed.
  void (*adamw)(float* params, float* grads, float* first, float* second, std::int64_t count, const AdamWStep& step);
  double (*sum_of_squares)(const float* values, std::int64_t count);
};

const Table& table();
const Table& table_base();
const Table& table_avx2();
const Table& table_avx512();

/// Floats of scratch that attention needs.
std::int64_t attention_scratch(std::int64_t tokens, std::int64_t dim);
std::int64_t cached_attention_scratch(const CachedAttention& args);

}  // namespace finetune::kernels::cpu
