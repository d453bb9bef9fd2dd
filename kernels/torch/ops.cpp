#include "kernels/torch/ops.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <optional>

#include "kernels/torch/backend.h"
#include "kernels/torch/gpu.h"
#include "kernels/torch/kernel_call.h"
#include "kernels/torch/profile.h"
#include "kernels/torch/threads.h"

namespace finetune::ops {

Segments make_segments(std::vector<std::int32_t> bounds, std::int64_t longest, at::Device device) {
  Segments segments;
  segments.bounds_B1 = at::tensor(at::ArrayRef<std::int32_t>(bounds), at::kInt).to(device);
  segments.bounds = std::move(bounds);
  segments.longest = longest;
  return segments;
}

// What the parts below do, for a profile.
static Work over(const at::Tensor& x, double flops, double passes) {
  return elementwise_work(x.numel(), flops, passes, x.element_size());
}
static Work product_of(const at::Tensor& x_TI, std::int64_t outputs, bool accumulate) {
  return product_work(x_TI.size(0), x_TI.size(1), outputs, x_TI.element_size(), accumulate);
}
static AttentionShape shape_of(const at::Tensor& q_THK, const at::Tensor& k_TGK, const Segments& segments,
                               const AttentionOptions& options) {
  return {.bounds = segments.bounds,
          .heads = q_THK.size(1),
          .kv_heads = k_TGK.size(1),
          .dim = q_THK.size(2),
          .window = options.window,
          .size = q_THK.element_size()};
}

void rmsnorm_forward(const at::Tensor& x_TD, const NormWeight& weight, double epsilon, at::Tensor& y_TD,
                     at::Tensor& rstd_T) {
  const Timed timed(Part::norms, [&] { return over(x_TD, 4, 2); });
  backend_for(Operation::rmsnorm, x_TD).rmsnorm_forward(x_TD, weight, epsilon, y_TD, rstd_T);
}

void rmsnorm_backward(const at::Tensor& dy_TD, const at::Tensor& x_TD, const NormWeight& weight,
                      const at::Tensor& rstd_T, at::Tensor& dx_TD, bool accumulate, const at::Tensor& dw_D) {
  const Timed timed(Part::norms, [&] { return over(x_TD, 8, accumulate ? 4 : 3); });
  backend_for(Operation::rmsnorm, x_TD).rmsnorm_backward(dy_TD, x_TD, weight, rstd_T, dx_TD, accumulate, dw_D);
}

void rotary(at::Tensor& x_THK, const at::Tensor& cos_PK, const at::Tensor& sin_PK, const at::Tensor& positions_T,
            bool inverse) {
  const Timed timed(Part::rotary, [&] { return over(x_THK, 3, 2); });
  backend_for(Operation::rotary_embedding, x_THK).rotary(x_THK, cos_PK, sin_PK, positions_T, inverse);
}

void attention_forward(const at::Tensor& q_THK, const at::Tensor& k_TGK, const at::Tensor& v_TGK,
                       const Segments& segments, const AttentionOptions& options, at::Tensor& o_THK,
                       at::Tensor& lse_HT) {
  const Timed timed(Part::attention, [&] { return attention_forward_work(shape_of(q_THK, k_TGK, segments, options)); });
  backend_for(Operation::attention, q_THK).attention_forward(q_THK, k_TGK, v_TGK, segments, options, o_THK, lse_HT);
}

void attention_backward(const at::Tensor& do_THK, const at::Tensor& q_THK, const at::Tensor& k_TGK,
                        const at::Tensor& v_TGK, const at::Tensor& o_THK, const at::Tensor& lse_HT,
                        const Segments& segments, const AttentionOptions& options, at::Tensor& dq_THK,
                        at::Tensor& dk_TGK, at::Tensor& dv_TGK) {
  const Timed timed(Part::attention,
                    [&] { return attention_backward_work(shape_of(q_THK, k_TGK, segments, options)); });
  backend_for(Operation::attention, q_THK)
      .attention_backward(do_THK, q_THK, k_TGK, v_TGK, o_THK, lse_HT, segments, options, dq_THK, dk_TGK, dv_TGK);
}

std::int64_t fewest_product_rows(at::Device device) {
  constexpr std::int64_t kFewest = 16;
  return device.is_cpu() ? std::max<std::int64_t>(kFewest, 8 * at::get_num_threads()) : kFewest;
}

// MKL's threads wait for one another by spinning where rows are few and deep: on a machine that has other work such a
// product takes until the system lets the other thread run. One of some 100 microseconds is done sooner alone.
static bool pays_one_thread(std::int64_t rows, std::int64_t depth, std::int64_t outputs) {
  constexpr std::int64_t kFewOperations = 16'000'000, kFewRows = 32;
  return rows < kFewRows * at::get_num_threads() && 2 * rows * depth * outputs < kFewOperations;
}

// On the processor: whatever the table says, for ATen has no product of such operands.
static bool is_rounded(const at::Tensor& x, const at::Tensor& w) {
  return x.is_cpu() && x.scalar_type() == at::kFloat && w.scalar_type() == at::kBFloat16;
}

void product(const at::Tensor& x_TI, const at::Tensor& w_IO, at::Tensor& y_TO, bool accumulate) {
  const Timed timed(Part::base, [&] { return product_of(x_TI, w_IO.size(1), accumulate); });
  if (is_rounded(x_TI, w_IO)) return by_kernel::rounded_product(x_TI, w_IO, y_TO, accumulate);
  constexpr std::int64_t kDeepest = 512;  // up to some 800 none was seen to be cut
  const std::int64_t depth = x_TI.size(1), slice = x_TI.is_cpu() ? kDeepest : std::max<std::int64_t>(1, depth);
  std::optional<ProductsOnOneThread> alone;
  if (x_TI.is_cpu() && pays_one_thread(x_TI.size(0), std::min(depth, slice), w_IO.size(1))) alone.emplace();
  for (std::int64_t first = 0; first < depth || first == 0; first += slice) {
    const std::int64_t count = std::min(slice, depth - first);
    const at::Tensor x = x_TI.narrow(1, first, count), w = w_IO.narrow(0, first, count);
    if (first == 0 && !accumulate)
      at::mm_out(y_TO, x, w);
    else
      at::addmm_out(y_TO, y_TO, x, w);
  }
}

void cache_append(const at::Tensor& k_TGK, const at::Tensor& v_TGK, const CacheRows& rows, const CachedKeys& keys) {
  backend_for(Operation::decoding, k_TGK).cache_append(k_TGK, v_TGK, rows, keys);
}

void cached_attention(const at::Tensor& q_THK, const CachedKeys& keys, const CacheRows& rows,
                      const AttentionOptions& options, at::Tensor& o_THK) {
  const Timed timed(Part::attention);
  backend_for(Operation::decoding, q_THK).cached_attention(q_THK, keys, rows, options, o_THK);
}

void dequantize(const PackedMatrix& from, at::Tensor& w_OI) {
  const Timed timed(Part::unpacking, [&] { return over(w_OI, 1, 1.25); });
  backend_for(Operation::unpacking, w_OI).dequantize(from, w_OI);
}

void packed_row_product(const at::Tensor& x_TI, const PackedMatrix& w, const at::Tensor& bias_O, at::Tensor& y_TO,
                        bool accumulate) {
  const Timed timed(Part::base, [&] { return product_of(x_TI, w.rows, accumulate); });
  backend_for(Operation::decoding, x_TI).packed_row_product(x_TI, w, bias_O, y_TO, accumulate);
}

void row_product(const at::Tensor& x_TI, const at::Tensor& w_OI, const at::Tensor& bias_O, at::Tensor& y_TO,
                 bool accumulate) {
  const Timed timed(Part::base, [&] { return product_of(x_TI, w_OI.size(0), accumulate); });
  if (!is_rounded(x_TI, w_OI))
    return backend_for(Operation::decoding, x_TI).row_product(x_TI, w_OI, bias_O, y_TO, accumulate);
  by_kernel::rounded_product(x_TI, w_OI.t(), y_TO, accumulate);
  if (bias_O.defined()) y_TO.add_(bias_O);
}

void magnitude_backward(const at::Tensor& dy_TO, const at::Tensor& z_TO, const at::Tensor& factor_O,
                        const at::Tensor& inverse_norm_O, at::Tensor& dz_TO, at::Tensor& dm_O) {
  const Timed timed(Part::adapters, [&] { return over(dy_TO, 4, 3); });
  backend_for(Operation::adapter, dy_TO).magnitude_backward(dy_TO, z_TO, factor_O, inverse_norm_O, dz_TO, dm_O);
}

void glu_forward(Activation activation, const at::Tensor& gate_TF, const at::Tensor& up_TF, at::Tensor& h_TF) {
  const Timed timed(Part::glu, [&] { return over(h_TF, kExponentialFlops + 4, 3); });
  backend_for(Operation::glu, gate_TF).glu_forward(activation, gate_TF, up_TF, h_TF);
}

void glu_backward(Activation activation, const at::Tensor& dh_TF, const at::Tensor& gate_TF, const at::Tensor& up_TF,
                  at::Tensor& dgate_TF, at::Tensor& dup_TF) {
  const Timed timed(Part::glu, [&] { return over(dh_TF, kExponentialFlops + 9, 5); });
  backend_for(Operation::glu, gate_TF).glu_backward(activation, dh_TF, gate_TF, up_TF, dgate_TF, dup_TF);
}

void softcap(double cap, at::Tensor& x_NV, const at::Tensor& slope_NV) {
  const Timed timed(Part::head, [&] { return over(x_NV, kExponentialFlops + 2, slope_NV.defined() ? 3 : 2); });
  backend_for(Operation::entropy, x_NV).softcap(cap, x_NV, slope_NV);
}

void cross_entropy(const at::Tensor& logits_NV, const at::Tensor& targets_N, const at::Tensor& scale_N,
                   at::Tensor& nll_N, at::Tensor& correct_N, const at::Tensor& dlogits_NV) {
  const Timed timed(Part::head, [&] {
    const bool backward = dlogits_NV.defined();
    return over(logits_NV, (backward ? 2 : 1) * (kExponentialFlops + 2), backward ? 2 : 1);
  });
  backend_for(Operation::entropy, logits_NV).cross_entropy(logits_NV, targets_N, scale_N, nll_N, correct_N, dlogits_NV);
}

std::int64_t logits_per_chunk(at::Device device) {
  // 8 MB of fp32 stay in a second-level or last-level cache.
  if (device.is_cpu()) return 2'000'000;
  // A 64th of the memory in bf16 (the composition of the loss keeps some five times that): 3,500 rows of a vocabulary
  // of 152,000 on 141 GB. The gradient's product has a tile for each 128 rows and 256 of the width, and wants more
  // tiles than a GPU has multiprocessors.
  constexpr std::int64_t kFewest = std::int64_t{1} << 26, kMost = std::int64_t{1} << 29;
  return std::clamp(gpu_facts(device).memory_bytes / 128, kFewest, kMost);
}

}  // namespace finetune::ops
