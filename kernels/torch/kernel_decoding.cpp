// Decoding, and weights in few bits and in bfloat16, by kernels.
#include <ATen/ATen.h>

#include <algorithm>

#include "kernels/api/cached_attention.h"
#include "kernels/api/packed.h"
#include "kernels/api/rounded_product.h"
#include "kernels/api/row_product.h"
#include "kernels/torch/kernel_call.h"

namespace finetune::ops {

static kernels::CachedKeys cached(const CachedKeys& keys, const at::Tensor& like) {
  const std::int64_t blocks = keys.k_NGKC.size(0), groups = keys.k_NGKC.size(1), dim = keys.k_NGKC.size(2);
  TORCH_CHECK(keys.k_NGKC.is_contiguous() && keys.v_NGCK.is_contiguous(), "kernel: a cache must be contiguous");
  return {.k = activation(keys.k_NGKC, like, {blocks, groups, dim, kCacheBlock}),
          .v = activation(keys.v_NGCK, like, {blocks, groups, kCacheBlock, dim}),
          .kv_heads = groups,
          .dim = dim};
}

static const std::int32_t* indices(const at::Tensor& tensor, const at::Tensor& like, at::IntArrayRef shape) {
  return static_cast<const std::int32_t*>(pointer(tensor, like, at::kInt, shape));
}

void by_kernel::cache_append(const at::Tensor& k, const at::Tensor& v, const CacheRows& rows, const CachedKeys& keys) {
  const Launch launch(k);
  launch.run<kernels::CacheAppend>(kernels::cpu::cache_append, nullptr,
                                   {.type = type_of(k),
                                    .to = cached(keys, k),
                                    .k = heads(k, k, k.sizes()),
                                    .v = heads(v, k, k.sizes()),
                                    .k_row = k.stride(0),
                                    .v_row = v.stride(0),
                                    .places = indices(rows.places_T, k, {k.size(0)}),
                                    .rows = k.size(0)});
}

void by_kernel::cached_attention(const at::Tensor& q, const CachedKeys& keys, const CacheRows& rows,
                                 const AttentionOptions& options, at::Tensor& o) {
  const Launch launch(q);
  launch.run<kernels::CachedAttention>(kernels::cpu::cached_attention, nullptr,
                                       {.type = type_of(q),
                                        .from = cached(keys, q),
                                        .q = heads(q, q, q.sizes()),
                                        .q_row = q.stride(0),
                                        .tables = indices(rows.tables_SB, q, rows.tables_SB.sizes()),
                                        .table_row = rows.tables_SB.stride(0),
                                        .sequences = indices(rows.sequences_T, q, {q.size(0)}),
                                        .seen = indices(rows.seen_T, q, {q.size(0)}),
                                        .rows = q.size(0),
                                        .heads = q.size(1),
                                        .window = options.window,
                                        .longest = *std::ranges::max_element(rows.seen),
                                        .scale = static_cast<float>(options.scale),
                                        .softcap = static_cast<float>(options.softcap),
                                        .o = heads(o, q, q.sizes()),
                                        .o_row = o.stride(0)});
}

static kernels::RowProduct row_product_args(const at::Tensor& x, std::int64_t outputs, const at::Tensor& bias,
                                            const at::Tensor& y, bool accumulate) {
  return {.type = type_of(x),
          .x = activation(x, x, x.sizes()),
          .x_row = x.stride(0),
          .bias = bias.defined() ? activation(bias, x, {outputs}) : nullptr,
          .y = activation(y, x, {x.size(0), outputs}),
          .y_row = y.stride(0),
          .accumulate = accumulate,
          .rows = x.size(0),
          .inputs = x.size(1),
          .outputs = outputs};
}

void by_kernel::row_product(const at::Tensor& x, const at::Tensor& w, const at::Tensor& bias, at::Tensor& y,
                            bool accumulate) {
  const Launch launch(x);
  auto args = row_product_args(x, w.size(0), bias, y, accumulate);
  args.w = activation(w, x, {w.size(0), x.size(1)});
  args.w_row = w.stride(0);
  launch.run<kernels::RowProduct>(kernels::cpu::row_product, nullptr, args);
}

static kernels::Packed packed(const PackedMatrix& m, const at::Tensor& like) {
  const bool nf4 = m.code == kernels::Code::nf4, doubled = m.absmax_codes.defined();
  const std::int64_t elements = m.rows * m.columns;
  const std::int64_t blocks = nf4 ? (elements + kernels::kNf4Block - 1) / kernels::kNf4Block : m.rows;
  const std::int64_t outer = doubled ? (blocks + kernels::kAbsmaxBlock - 1) / kernels::kAbsmaxBlock : blocks;
  const auto bytes = [&](const at::Tensor& tensor, at::ScalarType type, std::int64_t count) {
    return static_cast<const std::uint8_t*>(pointer(tensor, like, type, {count}));
  };
  return {.code = m.code,
          .codes = nf4 ? bytes(m.codes, at::kByte, (elements + 1) / 2) : bytes(m.codes, at::kChar, elements),
          .absmax = floats(m.absmax, like, {outer}),
          .absmax_codes = doubled ? bytes(m.absmax_codes, at::kByte, blocks) : nullptr,
          .map = doubled ? floats(m.map, like, {256}) : nullptr,
          .offset = doubled ? floats(m.offset, like, {1}) : nullptr,
          .rows = m.rows,
          .columns = m.columns};
}

void by_kernel::dequantize(const PackedMatrix& from, at::Tensor& w) {
  const Launch launch(w);
  TORCH_CHECK(w.is_contiguous(), "kernel: dequantised weights lie without gaps");
  launch.run<kernels::Dequantize>(
      kernels::cpu::dequantize, kernels::cuda::dequantize,
      {.type = type_of(w), .from = packed(from, w), .w = activation(w, w, {from.rows, from.columns})});
}

void by_kernel::packed_row_product(const at::Tensor& x, const PackedMatrix& w, const at::Tensor& bias, at::Tensor& y,
                                   bool accumulate) {
  const Launch launch(x);
  TORCH_CHECK(w.columns == x.size(1), "kernel: weights of ", w.columns, " inputs, given ", x.size(1));
  const kernels::Packed from = packed(w, x);
  auto args = row_product_args(x, w.rows, bias, y, accumulate);
  args.packed = &from;
  launch.run<kernels::RowProduct>(kernels::cpu::row_product, nullptr, args);
}

void by_kernel::rounded_product(const at::Tensor& x, const at::Tensor& w_IO, at::Tensor& y, bool accumulate) {
  const Launch launch(x);
  const bool by_inputs = w_IO.stride(1) == 1 && w_IO.size(1) > 1;
  const at::Tensor w = by_inputs ? w_IO : w_IO.t();
  const std::int64_t outputs = w_IO.size(1);
  launch.run<kernels::RoundedProduct>(kernels::cpu::rounded_product, nullptr,
                                      {.x = floats(x, x, {x.size(0), w_IO.size(0)}),
                                       .x_row = x.stride(0),
                                       .w = static_cast<const std::uint16_t*>(pointer(w, x, at::kBFloat16, w.sizes())),
                                       .w_row = w.stride(0),
                                       .by_inputs = by_inputs,
                                       .y = floats(y, x, {x.size(0), outputs}),
                                       .y_row = y.stride(0),
                                       .accumulate = accumulate,
                                       .rows = x.size(0),
                                       .inputs = x.size(1),
                                       .outputs = outputs});
}

}  // namespace finetune::ops
