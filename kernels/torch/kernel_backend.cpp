// The kernels of kernels/api as backends: turns tensors into arguments, with the checks, for every implementation;
// those of adapters, the optimizer and decoding in files of their own (kernels/torch/kernel_call.h). What an
// implementation does not have is composed. A GPU's stream comes through c10's virtual guard, so nothing here links the
// CUDA half of LibTorch.
#include <ATen/ATen.h>

#include "kernels/api/attention.h"
#include "kernels/api/cross_entropy.h"
#include "kernels/api/glu.h"
#include "kernels/api/rmsnorm.h"
#include "kernels/api/rotary.h"
#include "kernels/api/softcap.h"
#include "kernels/torch/backend.h"
#include "kernels/torch/composite.h"
#include "kernels/torch/kernel_call.h"

namespace finetune::ops {
namespace by_kernel {
namespace {

void rmsnorm_forward(const at::Tensor& x, const NormWeight& weight, double epsilon, at::Tensor& y, at::Tensor& rstd) {
  const Launch launch(x);
  launch.run(kernels::cpu::rmsnorm_forward, kernels::cuda::rmsnorm_forward,
             kernels::RmsnormForward{.type = type_of(x),
                                     .x = activation(x, x, x.sizes()),
                                     .x_row = x.stride(0),
                                     .w = activation(weight.w_D, x, {x.size(1)}),
                                     .epsilon = static_cast<float>(epsilon),
                                     .y = activation(y, x, x.sizes()),
                                     .y_row = y.stride(0),
                                     .rstd = floats(rstd, x, {x.size(0)}),
                                     .rows = x.size(0),
                                     .width = x.size(1),
                                     .unit_offset = weight.unit_offset});
}

// There is no kernel for a CPU: ATen's sum over rows is as good.
void add_norm_weight_gradient(const Launch& launch, const at::Tensor& dy, const at::Tensor& x, const at::Tensor& rstd,
                              const at::Tensor& dw) {
  if (x.is_cpu()) {
    at::Tensor(dw).add_((dy * x * rstd.unsqueeze(1)).sum(0));
    return;
  }
  launch.run<kernels::RmsnormWeightGradient>(nullptr, kernels::cuda::rmsnorm_weight_gradient,
                                             {.type = type_of(x),
                                              .dy = activation(dy, x, x.sizes()),
                                              .dy_row = dy.stride(0),
                                              .x = activation(x, x, x.sizes()),
                                              .x_row = x.stride(0),
                                              .rstd = floats(rstd, x, {x.size(0)}),
                                              .dw = floats(dw, x, {x.size(1)}),
                                              .rows = x.size(0),
                                              .width = x.size(1)});
}

void rmsnorm_backward(const at::Tensor& dy, const at::Tensor& x, const NormWeight& weight, const at::Tensor& rstd,
                      at::Tensor& dx, bool accumulate, const at::Tensor& dw) {
  const Launch launch(x);
  const kernels::RmsnormBackward args{.type = type_of(x),
                                      .dy = activation(dy, x, x.sizes()),
                                      .dy_row = dy.stride(0),
                                      .x = activation(x, x, x.sizes()),
                                      .x_row = x.stride(0),
                                      .w = activation(weight.w_D, x, {x.size(1)}),
                                      .rstd = floats(rstd, x, {x.size(0)}),
                                      .dx = activation(dx, x, x.sizes()),
                                      .dx_row = dx.stride(0),
                                      .accumulate = accumulate,
                                      .rows = x.size(0),
                                      .width = x.size(1),
                                      .unit_offset = weight.unit_offset};
  if (dw.defined()) add_norm_weight_gradient(launch, dy, x, rstd, dw);  // first: dx may be dy
  launch.run(kernels::cpu::rmsnorm_backward, kernels::cuda::rmsnorm_backward, args);
}

void rotary(at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin, const at::Tensor& positions, bool inverse) {
  const Launch launch(x);
  TORCH_CHECK(cos.is_contiguous() && sin.is_contiguous(), "kernel: rotary tables must be contiguous");
  const std::int64_t half = x.size(2) / 2;
  launch.run(
      kernels::cpu::rotary, kernels::cuda::rotary,
      kernels::Rotary{.type = type_of(x),
                      .x = activation(x, x, x.sizes()),
                      .x_row = x.stride(0),
                      .x_head = x.stride(1),
                      .cos = floats(cos, x, {cos.size(0), half}),
                      .sin = floats(sin, x, {cos.size(0), half}),
                      .positions = static_cast<const std::int32_t*>(pointer(positions, x, at::kInt, {x.size(0)})),
                      .inverse = inverse,
                      .rows = x.size(0),
                      .heads = x.size(1),
                      .dim = x.size(2)});
}

kernels::Attention attention_of(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Segments& segments,
                                const AttentionOptions& options) {
  return {.type = type_of(q),
          .q = heads(q, q, q.sizes()),
          .k = heads(k, q, {q.size(0), k.size(1), q.size(2)}),
          .v = heads(v, q, k.sizes()),
          .q_row = q.stride(0),
          .k_row = k.stride(0),
          .v_row = v.stride(0),
          .bounds = segments.bounds.data(),
          .segments = static_cast<std::int64_t>(segments.bounds.size()) - 1,
          .longest = segments.longest,
          .heads = q.size(1),
          .kv_heads = k.size(1),
          .dim = q.size(2),
          .window = options.window,
          .scale = static_cast<float>(options.scale),
          .softcap = static_cast<float>(options.softcap)};
}

void attention_forward(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Segments& segments,
                       const AttentionOptions& options, at::Tensor& o, at::Tensor& lse) {
  const Launch launch(q);
  launch.run<kernels::AttentionForward>(kernels::cpu::attention_forward, nullptr,
                                        {.of = attention_of(q, k, v, segments, options),
                                         .o = heads(o, q, q.sizes()),
                                         .o_row = o.stride(0),
                                         .lse = floats(lse, q, {q.size(1), q.size(0)}),
                                         .lse_row = lse.stride(0)});
}

void attention_backward(const at::Tensor& d_o, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                        const at::Tensor& o, const at::Tensor& lse, const Segments& segments,
                        const AttentionOptions& options, at::Tensor& dq, at::Tensor& dk, at::Tensor& dv) {
  const Launch launch(q);
  launch.run<kernels::AttentionBackward>(kernels::cpu::attention_backward, nullptr,
                                         {.of = attention_of(q, k, v, segments, options),
                                          .d_o = heads(d_o, q, q.sizes()),
                                          .o = heads(o, q, q.sizes()),
                                          .d_o_row = d_o.stride(0),
                                          .o_row = o.stride(0),
                                          .lse = floats(lse, q, {q.size(1), q.size(0)}),
                                          .lse_row = lse.stride(0),
                                          .dq = heads(dq, q, q.sizes()),
                                          .dk = heads(dk, q, k.sizes()),
                                          .dv = heads(dv, q, k.sizes()),
                                          .dq_row = dq.stride(0),
                                          .dk_row = dk.stride(0),
                                          .dv_row = dv.stride(0)});
}

void glu_forward(Activation kind, const at::Tensor& gate, const at::Tensor& up, at::Tensor& h) {
  const Launch launch(gate);
  launch.run(kernels::cpu::glu_forward, kernels::cuda::glu_forward,
             kernels::GluForward{.type = type_of(gate),
                                 .activation = kind,
                                 .gate = activation(gate, gate, gate.sizes()),
                                 .up = activation(up, gate, gate.sizes()),
                                 .gate_row = gate.stride(0),
                                 .up_row = up.stride(0),
                                 .h = activation(h, gate, gate.sizes()),
                                 .h_row = h.stride(0),
                                 .rows = gate.size(0),
                                 .width = gate.size(1)});
}

void glu_backward(Activation kind, const at::Tensor& dh, const at::Tensor& gate, const at::Tensor& up,
                  at::Tensor& dgate, at::Tensor& dup) {
  const Launch launch(gate);
  launch.run(kernels::cpu::glu_backward, kernels::cuda::glu_backward,
             kernels::GluBackward{.type = type_of(gate),
                                  .activation = kind,
                                  .dh = activation(dh, gate, gate.sizes()),
                                  .dh_row = dh.stride(0),
                                  .gate = activation(gate, gate, gate.sizes()),
                                  .up = activation(up, gate, gate.sizes()),
                                  .gate_row = gate.stride(0),
                                  .up_row = up.stride(0),
                                  .dgate = activation(dgate, gate, gate.sizes()),
                                  .dup = activation(dup, gate, gate.sizes()),
                                  .dgate_row = dgate.stride(0),
                                  .dup_row = dup.stride(0),
                                  .rows = gate.size(0),
                                  .width = gate.size(1)});
}

void softcap(double cap, at::Tensor& x, const at::Tensor& slope) {
  const Launch launch(x);
  launch.run<kernels::Softcap>(kernels::cpu::softcap, nullptr,
                               {.type = type_of(x),
                                .cap = static_cast<float>(cap),
                                .x = activation(x, x, x.sizes()),
                                .x_row = x.stride(0),
                                .slope = slope.defined() ? activation(slope, x, x.sizes()) : nullptr,
                                .slope_row = slope.defined() ? slope.stride(0) : 0,
                                .rows = x.size(0),
                                .width = x.size(1)});
}

void cross_entropy(const at::Tensor& logits, const at::Tensor& targets, const at::Tensor& scale, at::Tensor& nll,
                   at::Tensor& correct, const at::Tensor& dlogits) {
  const Launch launch(logits);
  const std::int64_t rows = logits.size(0);
  launch.run(
      kernels::cpu::cross_entropy, kernels::cuda::cross_entropy,
      kernels::CrossEntropy{.type = type_of(logits),
                            .logits = activation(logits, logits, logits.sizes()),
                            .logits_row = logits.stride(0),
                            .targets = static_cast<const std::int64_t*>(pointer(targets, logits, at::kLong, {rows})),
                            .scale = scale.defined() ? floats(scale, logits, {rows}) : nullptr,
                            .nll = floats(nll, logits, {rows}),
                            .correct = static_cast<std::uint8_t*>(pointer(correct, logits, at::kByte, {rows})),
                            .dlogits = dlogits.defined() ? activation(dlogits, logits, logits.sizes()) : nullptr,
                            .dlogits_row = dlogits.defined() ? dlogits.stride(0) : 0,
                            .rows = rows,
                            .vocabulary = logits.size(1)});
}

constexpr Backend kAll = {rmsnorm_forward,
                          rmsnorm_backward,
                          rotary,
                          attention_forward,
                          attention_backward,
                          glu_forward,
                          glu_backward,
                          softcap,
                          cross_entropy,
                          adapter_forward,
                          adapter_backward,
                          gradient_norms,
                          row_sums,
                          adamw,
                          cache_append,
                          cached_attention,
                          row_product,
                          magnitude_backward,
                          packed_row_product,
                          dequantize};

}  // namespace
}  // namespace by_kernel

const Backend& cpu_backend() {
  return by_kernel::kAll;
}

const Backend& cuda_backend() {
  static const Backend kBackend = [] {
    Backend backend = cpu_backend();
    backend.attention_forward = flash_backend().attention_forward;
    backend.attention_backward = flash_backend().attention_backward;
    backend.softcap = composed::softcap;
    backend.magnitude_backward = composed::magnitude_backward;
    backend.cache_append = composed::cache_append;
    backend.cached_attention = composed::cached_attention;
    backend.row_product = composed::row_product;
    backend.packed_row_product = composed::packed_row_product;
    return backend;
  }();
  return kBackend;
}

}  // namespace finetune::ops
