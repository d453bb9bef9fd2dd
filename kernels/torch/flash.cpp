// Attention by ATen's flash attention over cumulative lengths (Dao, 2023). It takes bf16 (and fp16), heads of up to 256
// elements in steps of 8, windows, no soft cap, and key/value heads shared by query heads; anything else goes the
// general way, the composition. Called through the dispatcher, so nothing here links the CUDA half of LibTorch.
#include <ATen/ATen.h>

#include <optional>

#include "kernels/torch/backend.h"

namespace finetune::ops {
namespace {

bool serves(const at::Tensor& q, const AttentionOptions& options) {
  return options.softcap == 0 && q.is_cuda() && q.scalar_type() == at::kBFloat16 && fits_flash_attention(q.size(2));
}

// Tokens that a token sees to its left; nothing = all of them.
std::optional<std::int64_t> left(const AttentionOptions& options) {
  return options.window > 0 ? std::optional(options.window - 1) : std::nullopt;
}

void forward(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Segments& segments,
             const AttentionOptions& options, at::Tensor& o, at::Tensor& lse) {
  if (!serves(q, options)) return composite_backend().attention_forward(q, k, v, segments, options, o, lse);
  const auto [output, log_sums, seed, offset, mask] =
      at::_flash_attention_forward(q, k, v, segments.bounds_B1, segments.bounds_B1, segments.longest, segments.longest,
                                   0.0, /*is_causal=*/true, false, options.scale, left(options), 0);
  o.copy_(output);
  lse.copy_(log_sums);
}

void backward(const at::Tensor& d_o, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& o,
              const at::Tensor& lse, const Segments& segments, const AttentionOptions& options, at::Tensor& dq,
              at::Tensor& dk, at::Tensor& dv) {
  if (!serves(q, options))
    return composite_backend().attention_backward(d_o, q, k, v, o, lse, segments, options, dq, dk, dv);
  const at::Tensor no_dropout = at::empty({2}, at::TensorOptions(at::kUInt64).device(q.device()));  // never read
  const auto [q_gradient, k_gradient, v_gradient] = at::_flash_attention_backward(
      d_o, q, k, v, o, lse, segments.bounds_B1, segments.bounds_B1, segments.longest, segments.longest, 0.0,
      /*is_causal=*/true, no_dropout, no_dropout, options.scale, left(options), 0);
  dq.copy_(q_gradient);
  dk.copy_(k_gradient);
  dv.copy_(v_gradient);
}

}  // namespace

bool fits_flash_attention(std::int64_t head_dim) {
  return head_dim % 8 == 0 && head_dim <= 256;
}

const Backend& flash_backend() {
  static const Backend kBackend = [] {
    Backend backend = composite_backend();
    backend.attention_forward = forward;
    backend.attention_backward = backward;
    return backend;
  }();
  return kBackend;
}

}  // namespace finetune::ops
