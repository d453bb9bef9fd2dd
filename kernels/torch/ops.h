// Operations of the decoder and the optimizer on tensors of any LibTorch device. Which implementation runs is looked up
// in a table by device (kernels/torch/table.cpp); the composition of ATen ops works everywhere and is the oracle.
//
// Shapes: T packed tokens, D width, H heads, G key/value heads, K head_dim, F mlp width, N loss rows, V vocabulary,
// S slots, R stored rank, P parameters of a slot, O output features.
// Rows of 2-D and 3-D activations may be strided (views of a wider tensor); within a row elements are contiguous.
// Outputs are written in place. Activations are fp32, bf16 or (in tests) fp64; arithmetic inside is fp32 or wider.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace finetune::ops {

/// Examples in a pack, one after the other.
struct Segments {
  std::vector<std::int32_t> bounds;  ///< B + 1 cumulative lengths, on the host
  at::Tensor bounds_B1;              ///< the same, int32, on the device
  std::int64_t longest = 0;
};
Segments make_segments(std::vector<std::int32_t> bounds, std::int64_t longest, at::Device device);

/// y = x / rms(x) cast to x's dtype, times w (Llama's order of rounding). Saves rstd_T (fp32).
void rmsnorm_forward(const at::Tensor& x_TD, const at::Tensor& w_D, double epsilon, at::Tensor& y_TD,
                     at::Tensor& rstd_T);
/// dx (+)= gradient; dw_D (fp32, may be undefined) += gradient.
void rmsnorm_backward(const at::Tensor& dy_TD, const at::Tensor& x_TD, const at::Tensor& w_D, const at::Tensor& rstd_T,
                      at::Tensor& dx_TD, bool accumulate, const at::Tensor& dw_D);

/// Rotates pairs (i, i + K/2) in place; inverse: the backward.
void rotary(at::Tensor& x_THK, const at::Tensor& cos_PK, const at::Tensor& sin_PK, const at::Tensor& positions_T,
            bool inverse);

struct AttentionOptions {
  double scale = 1;
  std::int64_t window = 0;  ///< a token sees itself and window - 1 before it; 0 = all before it
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

/// h = silu(gate) * up.
void swiglu_forward(const at::Tensor& gate_TF, const at::Tensor& up_TF, at::Tensor& h_TF);
void swiglu_backward(const at::Tensor& dh_TF, const at::Tensor& gate_TF, const at::Tensor& up_TF, at::Tensor& dgate_TF,
                     at::Tensor& dup_TF);

/// nll and argmax-correctness per row; dlogits (may be logits itself; undefined = not wanted) = (softmax - onehot) *
/// scale.
void cross_entropy(const at::Tensor& logits_NV, const at::Tensor& targets_N, const at::Tensor& scale_N,
                   at::Tensor& nll_N, at::Tensor& correct_N, at::Tensor dlogits_NV);

void embedding_forward(const at::Tensor& ids_T, const at::Tensor& table_VD, at::Tensor& y_TD);
/// dtable (fp32) += rows of dy, in token order.
void embedding_backward(const at::Tensor& ids_T, const at::Tensor& dy_TD, at::Tensor& dtable_VD);

/// A trial's rows of a pack in one adapted projection.
struct AdapterGroup {
  std::int64_t begin = 0, end = 0;  ///< token rows
  std::int64_t slot = 0;
  std::int64_t rank = 16;  ///< computed rank: a multiple of 16, at most R
  float scale = 1;
  float dropout = 0;       ///< on the adapter's input
  std::uint64_t seed = 0;  ///< the dropout mask is keyed on (seed, step, projection, token_base + row, column)
  std::int64_t step = 0;
  std::int64_t token_base = 0;  ///< tokens of the trial's batch before `begin`
};
/// s = dropout(x) a^T (saved, fp32), y += scale * s b^T, for each group's rows. `key` tells projections apart.
void adapter_forward(const at::Tensor& x_TD, const at::Tensor& a_SRD, const at::Tensor& b_SOR,
                     std::span<const AdapterGroup> groups, std::int64_t key, at::Tensor& s_TR, at::Tensor& y_TO);
/// dx (may be undefined) += gradient; da, db (fp32) += gradient.
void adapter_backward(const at::Tensor& dy_TO, const at::Tensor& x_TD, const at::Tensor& a_SRD, const at::Tensor& b_SOR,
                      const at::Tensor& s_TR, std::span<const AdapterGroup> groups, std::int64_t key, at::Tensor& dx_TD,
                      at::Tensor& da_SRD, at::Tensor& db_SOR);

/// A strided matrix inside a slot's row: `rows` rows of `length` elements, `stride` apart, from `offset`.
struct Piece {
  std::int64_t offset = 0, rows = 0, length = 0, stride = 0;
};
struct SlotPieces {
  std::int64_t slot = 0;
  std::vector<Piece> pieces;
};
/// L2 norm per entry of `slots`, summed in fp64 in a fixed order.
std::vector<double> gradient_norms(const at::Tensor& grads_SP, std::span<const SlotPieces> slots);

/// One slot's AdamW step (torch.optim.AdamW: decoupled decay first, bias correction, epsilon after the square root).
struct SlotUpdate {
  std::int64_t slot = 0;
  double learning_rate = 0, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weight_decay = 0;
  double gradient_scale = 1;                                   ///< clipping
  std::int64_t step = 1;                                       ///< of the moments, 1-based
  bool skip = false;                                           ///< leaves parameters and moments as they are
  std::vector<std::pair<std::int64_t, std::int64_t>> decayed;  ///< [begin, end) of P that decay applies to
};
/// All updates in one call; zeroes the gradients of every slot named, skipped ones too.
void adamw(at::Tensor params_SP, at::Tensor grads_SP, at::Tensor first_SP, at::Tensor second_SP,
           std::span<const SlotUpdate> updates);

}  // namespace finetune::ops
