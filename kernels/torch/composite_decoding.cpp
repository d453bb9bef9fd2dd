// Decoding over a cache as a composition of ATen ops: kernels/api/cached_attention.h, kernels/api/row_product.h. T
// rows, H query heads, G key/value heads, K head_dim, C tokens of a block; in a batch t rows that see B blocks, L = B C
// tokens.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

#include "kernels/torch/composite.h"
#include "kernels/torch/records.h"

namespace finetune::ops {
namespace {

// visit(rows_t, B) for batches that hold every row once: what a row becomes does not depend on how far others see.
template <typename Visit>
void for_each_batch(const CacheRows& rows, std::int64_t elements_per_block, at::Device device, const Visit& visit) {
  std::map<std::int64_t, std::vector<std::int64_t>> rows_by_blocks;
  for (std::size_t row = 0; row < rows.seen.size(); ++row) {
    const std::int64_t blocks = (rows.seen[row] + kCacheBlock - 1) / kCacheBlock;
    rows_by_blocks[blocks].push_back(static_cast<std::int64_t>(row));
  }
  for (const auto& [blocks, list] : rows_by_blocks) {
    const auto most =
        static_cast<std::size_t>(std::max<std::int64_t>(1, kScoresAtOnce / (blocks * elements_per_block)));
    for (std::size_t first = 0; first < list.size(); first += most) {
      const std::size_t count = std::min(most, list.size() - first);
      visit(records_on<std::int64_t>(std::span(list).subspan(first, count), device).view(at::kLong), blocks);
    }
  }
}

// A sequence's keys or values as [t, G, A, L] or [t, G, L, A]: `tokens` is the axis of a block's tokens.
at::Tensor gathered(const at::Tensor& blocks_NG__, const at::Tensor& tables_tB, std::int64_t tokens,
                    at::ScalarType type) {
  const at::Tensor taken = blocks_NG__.index_select(0, tables_tB.flatten()).to(type).unflatten(0, tables_tB.sizes());
  return taken.movedim(1, tokens).flatten(tokens, tokens + 1);
}

}  // namespace

void composed::cache_append(const at::Tensor& k_TGK, const at::Tensor& v_TGK, const CacheRows& rows,
                            const CachedKeys& keys) {
  const at::Tensor places_T = rows.places_T.to(at::kLong), blocks_T = at::div(places_T, kCacheBlock, "floor"),
                   tokens_T = at::remainder(places_T, kCacheBlock);
  keys.k_NGKC.permute({0, 3, 1, 2}).index_put_({blocks_T, tokens_T}, k_TGK);
  keys.v_NGCK.permute({0, 2, 1, 3}).index_put_({blocks_T, tokens_T}, v_TGK);
}

void composed::cached_attention(const at::Tensor& q_THK, const CachedKeys& keys, const CacheRows& rows,
                                const AttentionOptions& options, at::Tensor& o_THK) {
  const std::int64_t heads = q_THK.size(1), groups = keys.k_NGKC.size(1), dim = q_THK.size(2);
  const auto type = wide(q_THK);
  for_each_batch(rows, heads * dim * kCacheBlock, q_THK.device(), [&](const at::Tensor& rows_t, std::int64_t blocks) {
    const at::Tensor tables_tB =
        rows.tables_SB.index_select(0, rows.sequences_T.index_select(0, rows_t)).narrow(1, 0, blocks);
    const at::Tensor q_tGRK = q_THK.index_select(0, rows_t).to(type).unflatten(1, {groups, heads / groups});
    const at::Tensor k_tGKL = gathered(keys.k_NGKC, tables_tB, 3, type);
    const at::Tensor seen_t1 = rows.seen_T.index_select(0, rows_t).unsqueeze(1);
    const at::Tensor token_L = at::arange(blocks * kCacheBlock, seen_t1.options());
    at::Tensor hidden_tL = token_L.ge(seen_t1);
    if (options.window > 0) hidden_tL = hidden_tL.logical_or(token_L.lt(seen_t1 - options.window));
    const at::Tensor hidden_t11L = hidden_tL.unsqueeze(1).unsqueeze(1);
    at::Tensor scores = at::matmul(q_tGRK, k_tGKL) * options.scale;
    if (options.softcap > 0) scores.div_(options.softcap).tanh_().mul_(options.softcap);
    const at::Tensor p = scores.masked_fill_(hidden_t11L, -INFINITY).softmax(-1);
    // What was never written may be anything, which zero times does not remove.
    const at::Tensor v_tGLK = gathered(keys.v_NGCK, tables_tB, 2, type).masked_fill_(hidden_t11L.transpose(2, 3), 0);
    o_THK.index_copy_(0, rows_t, at::matmul(p, v_tGLK).flatten(1, 2).to(o_THK.scalar_type()));
  });
}

// With the rows that LibTorch's products need for bits that do not depend on their number (tests/kernels/
// test_products.cpp).
void composed::row_product(const at::Tensor& x_TI, const at::Tensor& w_OI, const at::Tensor& bias_O, at::Tensor& y_TO,
                           bool accumulate) {
  const std::int64_t rows = x_TI.size(0), fewest = fewest_product_rows(x_TI.device());
  const at::Tensor x = rows >= fewest ? x_TI : at::constant_pad_nd(x_TI, {0, 0, 0, fewest - rows});
  at::Tensor product = at::mm(x, w_OI.t()).narrow(0, 0, rows);
  if (bias_O.defined()) product.add_(bias_O);
  if (accumulate)
    y_TO.add_(product);
  else
    y_TO.copy_(product);
}

}  // namespace finetune::ops
