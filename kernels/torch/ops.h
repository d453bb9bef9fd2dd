// Operations of the decoder and the optimizer on tensors of any LibTorch device. Which implementation runs is looked up
// in a table by device (kernels/torch/table.cpp); the composition of ATen ops works everywhere and is the oracle.
//
// Shapes: T packed tokens, D width, H heads, G key/value heads, K head_dim, F mlp width, N loss rows, V vocabulary,
// S slots, R stored rank, P parameters of a slot, O output features.
// Rows of 2-D and 3-D activations may be strided (views of a wider tensor); within a row elements are contiguous.
// Outputs are written in place. Activations are fp32, bf16 or (in tests) fp64; arithmetic inside is fp32 or wider.
// On the processor the weights of products, and a table of embeddings, may be bf16 where activations are fp32.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "kernels/api/activation.h"
#include "kernels/api/adamw.h"
#include "kernels/api/adapter.h"
#include "kernels/api/cached_attention.h"
#include "kernels/api/cross_entropy.h"
#include "kernels/api/packed.h"

namespace finetune::ops {

/// Examples in a pack, one after the other.
struct Segments {
  std::vector<std::int32_t> bounds;  ///< B + 1 cumulative lengths, on the host
  at::Tensor bounds_B1;              ///< the same, int32, on the device
  std::int64_t longest = 0;
};
Segments make_segments(std::vector<std::int32_t> bounds, std::int64_t longest, at::Device device);

/// What a norm multiplies by: w, or 1 + w with `unit_offset`.
struct NormWeight {
  NormWeight(const at::Tensor& weight_D, bool one_more = false) : w_D(weight_D), unit_offset(one_more) {}
  at::Tensor w_D;
  bool unit_offset;
};
/// y = x / rms(x) cast to x's dtype, times w (Llama's order of rounding; with a unit offset Gemma's, which casts last).
/// Saves rstd_T (fp32).
void rmsnorm_forward(const at::Tensor& x_TD, const NormWeight& weight, double epsilon, at::Tensor& y_TD,
                     at::Tensor& rstd_T);
/// dx (+)= gradient; dw_D (fp32, may be undefined) += gradient.
void rmsnorm_backward(const at::Tensor& dy_TD, const at::Tensor& x_TD, const NormWeight& weight,
                      const at::Tensor& rstd_T, at::Tensor& dx_TD, bool accumulate, const at::Tensor& dw_D);

/// Rotates pairs (i, i + K/2) in place; inverse: the backward.
void rotary(at::Tensor& x_THK, const at::Tensor& cos_PK, const at::Tensor& sin_PK, const at::Tensor& positions_T,
            bool inverse);

struct AttentionOptions {
  double scale = 1;
  std::int64_t window = 0;  ///< a token sees itself and window - 1 before it; 0 = all before it
  double softcap = 0;       ///< scaled scores become softcap * tanh(score / softcap); 0 = as they are
};
/// Causal softmax attention within each segment; query head h uses key/value head h / (H / G). lse_HT: fp32
/// log-sum-exp of the scaled scores.
void attention_forward(const at::Tensor& q_THK, const at::Tensor& k_TGK, const at::Tensor& v_TGK,
                       const Segments& segments, const AttentionOptions& options, at::Tensor& o_THK,
                       at::Tensor& lse_HT);
void attention_backward(const at::Tensor& do_THK, const at::Tensor& q_THK, const at::Tensor& k_TGK,
                        const at::Tensor& v_TGK, const at::Tensor& o_THK, const at::Tensor& lse_HT,
                        const Segments& segments, const AttentionOptions& options, at::Tensor& dq_THK,
                        at::Tensor& dk_TGK, at::Tensor& dv_TGK);

inline constexpr std::int64_t kCacheBlock = kernels::kCacheBlock;  ///< C

/// Keys and values of one layer in N blocks of C tokens: kernels/api/cached_attention.h. Block 0 keeps nothing.
struct CachedKeys {
  at::Tensor k_NGKC, v_NGCK;
};
/// Where a pack's tokens stand in a cache.
struct CacheRows {
  at::Tensor places_T;             ///< int32: block * C + token; in block 0: not kept
  at::Tensor tables_SB;            ///< int32: blocks of each sequence
  at::Tensor sequences_T;          ///< int32: row of tables
  at::Tensor seen_T;               ///< int32: tokens of the sequence that are seen, itself the last
  std::vector<std::int32_t> seen;  ///< the same, on the host
};
void cache_append(const at::Tensor& k_TGK, const at::Tensor& v_TGK, const CacheRows& rows, const CachedKeys& keys);
/// Softmax attention of each token over what it sees of its sequence in the cache, whatever else is in the pack.
void cached_attention(const at::Tensor& q_THK, const CachedKeys& keys, const CacheRows& rows,
                      const AttentionOptions& options, at::Tensor& o_THK);

/// Fewest rows of any of LibTorch's products whose rows must have the same bits however many there are. On the
/// processor a part of fewer than 8 rows goes through another routine of MKL, with other bits, and a product is cut
/// into a part per thread (tests/kernels/test_products.cpp keeps watch). On a GPU a constant: what a run gives does not
/// depend on the host's cores, nor does it pay for them in padding.
std::int64_t fewest_product_rows(at::Device device);

/// The weights of a frozen matrix in 4 or 8 bits: kernels/api/packed.h. Undefined is what its kind does not have.
struct PackedMatrix {
  kernels::Code code = kernels::Code::nf4;
  std::int64_t rows = 0, columns = 0;
  at::Tensor codes;         ///< nf4: uint8 [elements / 2, rounded up]; int8: int8 [elements]
  at::Tensor absmax;        ///< fp32, of each block or row; doubly quantised: of each block of codes
  at::Tensor absmax_codes;  ///< doubly quantised: uint8, of each block
  at::Tensor map, offset;   ///< fp32 [256], [1]
  at::Tensor numbers;       ///< nf4: kernels::kNf4, where the codes are
};
/// w [rows, columns] without gaps, the numbers in its dtype.
void dequantize(const PackedMatrix& from, at::Tensor& w_OI);

/// y (+)= x w. On the processor in slices of the depth I: MKL cuts a deep product of few outputs along its depth, into
/// a part per thread, so that its bits would hang on the number of threads (tests/kernels/test_products.cpp). There x
/// may be fp32 and w bf16: x is rounded to bf16, sums are fp32, and a row's bits do not depend on the number of rows
/// (kernels/api/rounded_product.h).
void product(const at::Tensor& x_TI, const at::Tensor& w_IO, at::Tensor& y_TO, bool accumulate);

/// y (+)= x w^T + bias (may be undefined); a row's bits do not depend on the number of rows. With x fp32 and w bf16
/// those of `product`.
void row_product(const at::Tensor& x_TI, const at::Tensor& w_OI, const at::Tensor& bias_O, at::Tensor& y_TO,
                 bool accumulate);
/// The same bits as with dequantised weights, which are never whole in memory where there is a kernel.
void packed_row_product(const at::Tensor& x_TI, const PackedMatrix& w, const at::Tensor& bias_O, at::Tensor& y_TO,
                        bool accumulate);

/// dz = dy * factor; dm (fp32) += dy * z * inverse_norm summed over the rows in their order: kernels/api/magnitude.h.
void magnitude_backward(const at::Tensor& dy_TO, const at::Tensor& z_TO, const at::Tensor& factor_O,
                        const at::Tensor& inverse_norm_O, at::Tensor& dz_TO, at::Tensor& dm_O);

using Activation = kernels::Activation;
/// Gated linear units (Shazeer, 2020): h = activation(gate) * up.
void glu_forward(Activation activation, const at::Tensor& gate_TF, const at::Tensor& up_TF, at::Tensor& h_TF);
void glu_backward(Activation activation, const at::Tensor& dh_TF, const at::Tensor& gate_TF, const at::Tensor& up_TF,
                  at::Tensor& dgate_TF, at::Tensor& dup_TF);
/// Soft-capped logits: x becomes cap * tanh(x / cap). slope (may be undefined): of the new x by the old.
void softcap(double cap, at::Tensor& x_NV, const at::Tensor& slope_NV);

/// nll and argmax-correctness per row; dlogits (may be logits itself; undefined = not wanted) = (softmax - onehot) *
/// scale.
void cross_entropy(const at::Tensor& logits_NV, const at::Tensor& targets_N, const at::Tensor& scale_N,
                   at::Tensor& nll_N, at::Tensor& correct_N, const at::Tensor& dlogits_NV);

/// Elements of logits to work on at once: what a processor's caches hold, or rows enough to fill a GPU.
std::int64_t logits_per_chunk(at::Device device);

void embedding_forward(const at::Tensor& ids_T, const at::Tensor& table_VD, at::Tensor& y_TD);
/// dtable (fp32) += rows of dy, in a fixed order.
void embedding_backward(const at::Tensor& ids_T, const at::Tensor& dy_TD, at::Tensor& dtable_VD);

/// to[rows[n]] += values[n], in a fixed order (on CUDA LibTorch sorts, where index_add_ has atomics); rows are not
/// checked there.
void add_rows(const at::Tensor& rows_N, const at::Tensor& values_ND, at::Tensor& to_TD);

/// dw (fp32) += dy^T x; products of bf16 stay in bf16 and are summed in fp32.
void add_weight_gradient(const at::Tensor& dy_TO, const at::Tensor& x_TI, at::Tensor& dw_OI);

/// A trial's rows of a pack, and the projections (bits) that it adapts: kernels/api/adapter.h.
using AdapterGroup = kernels::AdapterGroup;

/// The trials of a pack. One list serves all projections and layers, so it goes to a GPU once per pack.
struct AdapterGroups {
  std::vector<AdapterGroup> list;            ///< on the host
  std::uint32_t projections = 0;             ///< bits that are computed: those of all groups, or more
  bool dropout = false;                      ///< of any group
  at::Tensor records;                        ///< GPU: the bytes of the list in device memory
  std::int64_t tiles = 0, largest_rank = 0;  ///< sizes of a launch: what the list needs, or more
};
/// Numbers the tiles and finds the sizes; `records` is left to whoever copies the list.
AdapterGroups make_adapter_groups(std::vector<AdapterGroup> list);
/// The same with `records` on the device.
AdapterGroups adapter_groups_on(std::vector<AdapterGroup> list, at::Device device);

/// One of the projections that share an input.
struct AdapterOutput {
  std::int64_t bit = 0;  ///< of AdapterGroup::projections
  std::int64_t key = 0;  ///< tells projections apart in the dropout mask
  at::Tensor a_SRD, b_SOR, s_TR, y_TO;
  at::Tensor scale_S = {};  ///< fp32, of this projection; undefined: that of the group
};
/// For each group and each projection that it adapts: s = dropout(x) a^T (saved, fp32), y += scale * s b^T.
void adapter_forward(const at::Tensor& x_TD, const AdapterGroups& groups, std::span<const AdapterOutput> outputs);

struct AdapterOutputGradient {
  std::int64_t bit = 0, key = 0;
  at::Tensor a_SRD, b_SOR, s_TR, dy_TO, da_SRD, db_SOR;
  at::Tensor scale_S = {};
};
/// dx (may be undefined) += gradient, projections in their order; da, db (fp32) += gradient.
void adapter_backward(const at::Tensor& x_TD, const AdapterGroups& groups,
                      std::span<const AdapterOutputGradient> outputs, at::Tensor& dx_TD);

/// A strided matrix inside a slot's row: `rows` rows of `length` elements, `stride` apart, from `offset`.
struct Piece {
  std::int64_t offset = 0, rows = 0, length = 0, stride = 0;
};
struct SlotPieces {
  std::int64_t slot = 0;
  std::vector<Piece> pieces;
};
/// What gradient norms are summed over: the same from step to step while trials and ranks stay.
struct NormPlan {
  std::vector<SlotPieces> slots;
  at::Tensor slot_records, piece_records;  ///< the same in device memory
};
NormPlan make_norm_plan(std::vector<SlotPieces> slots, at::Device device);
/// norms_N (fp64): L2 norm per entry of plan.slots, summed in fp64 in a fixed order.
void gradient_norms(const at::Tensor& grads_SP, const NormPlan& plan, at::Tensor& norms_N);

/// Rows of a trial; their sum is added to entry `to`.
using RowRange = kernels::RowRange;
/// sums_N (fp64): sums_N[to] += sum of values (fp32) over the range, in a fixed order.
void row_sums(const at::Tensor& values, std::span<const RowRange> ranges, at::Tensor& sums_N);

/// The bank that the optimizer works on.
struct OptimizerState {
  at::Tensor params_SP, grads_SP, first_SP, second_SP;
  at::Tensor steps_S;  ///< int64: steps behind the moments
};
/// One slot's AdamW step (torch.optim.AdamW: decoupled decay first, bias correction, epsilon after the square root).
struct SlotUpdate {
  std::int64_t slot = 0;
  double learning_rate = 0, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weight_decay = 0;
  double max_norm = 0;  ///< gradients are multiplied by max_norm / (norm + 1e-6) where that is below 1; 0 = never
  std::vector<kernels::ParameterRange> decayed;  ///< what decay applies to, sorted and disjoint
};
/// How far a call of adamw has come: whole updates, and elements of the next one's slot.
struct UpdateProgress {
  std::size_t updates = 0;
  std::int64_t elements = 0;
};
/// All updates in one call; zeroes the gradients of every slot named. norms_N and losses_N (fp64, on the bank's device)
/// have an entry per update: where one is not finite, parameters, moments and step count stay as they are. A call that
/// throws because memory ran out has done what `done` says and touched nothing behind it: called again with the same
/// arguments it goes on there, so no element is updated twice or left out.
void adamw(const OptimizerState& state, std::span<const SlotUpdate> updates, const at::Tensor& norms_N,
           const at::Tensor& losses_N, UpdateProgress& done);

}  // namespace finetune::ops
