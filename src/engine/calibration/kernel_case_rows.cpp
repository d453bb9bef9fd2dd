// Operations that go row by row.
#include <ATen/ATen.h>

#include <algorithm>

#include "engine/calibration/kernel_case.h"

namespace finetune {
namespace {

constexpr double kCaseEpsilon = 1e-6;

}  // namespace

KernelCase rmsnorm_case(const CaseMaker& make) {
  const std::int64_t T = make.size.tokens, D = make.shape.width;
  return {.rows = T,
          .bytes = 5 * make.element_bytes() * static_cast<double>(T * D),
          .flops = 14 * static_cast<double>(T * D),
          .inputs = {make.random({T, D}), make.random({D}), make.random({T, D})},
          .outputs = {{"y", make.poison({T, D})}, {"rstd", make.poison_floats({T})}, {"dx", make.poison({T, D})}},
          .call = [offset = make.shape.unit_offset_norm](const auto& backend, auto in, auto out) {
            const ops::NormWeight weight(in[1], offset);
            backend.rmsnorm_forward(in[0], weight, kCaseEpsilon, out[0], out[1]);
            backend.rmsnorm_backward(in[2], in[0], weight, out[1], out[2], false, {});
          }};
}

// Queries and keys as they stand in the product of all three; forward on one copy, the inverse on another.
KernelCase rotary_case(const CaseMaker& make) {
  const std::int64_t T = make.size.tokens, H = make.shape.heads, G = make.shape.kv_heads, K = make.shape.head_dim,
                     positions = make.size.segment;
  const at::Tensor angles = make.random_floats({positions, K / 2}, 3);
  return {.rows = T,
          .bytes = 4 * make.element_bytes() * static_cast<double>(T * (H + G) * K),
          .flops = 6 * static_cast<double>(T * (H + G) * K),
          .inputs = {angles.cos(), angles.sin(), make.below(positions, T, at::kInt)},
          .outputs = {{"rotated", make.random({T, H + 2 * G, K})}, {"turned back", make.random({T, H + 2 * G, K})}},
          .call = [H, G](const auto& backend, auto in, auto out) {
            for (const bool inverse : {false, true}) {
              for (const auto& [first, count] : {std::pair(std::int64_t{0}, H), std::pair(H, G)}) {
                at::Tensor part = out[inverse ? 1 : 0].narrow(1, first, count);
                backend.rotary(part, in[0], in[1], in[2], inverse);
              }
            }
          }};
}

KernelCase glu_case(const CaseMaker& make) {
  const std::int64_t T = make.size.tokens, F = make.shape.mlp_width;
  const auto activation = make.shape.gelu ? ops::Activation::gelu_tanh : ops::Activation::silu;
  return {.rows = T,
          .bytes = 8 * make.element_bytes() * static_cast<double>(T * F),
          .flops = 30 * static_cast<double>(T * F),
          .inputs = {make.random({T, 2 * F}), make.random({T, F})},
          .outputs = {{"h", make.poison({T, F})}, {"gradients", make.poison({T, 2 * F})}},
          .call = [activation, F](const auto& backend, auto in, auto out) {
            const at::Tensor gate = in[0].narrow(1, 0, F), up = in[0].narrow(1, F, F);
            at::Tensor dgate = out[1].narrow(1, 0, F), dup = out[1].narrow(1, F, F);
            backend.glu_forward(activation, gate, up, out[0]);
            backend.glu_backward(activation, in[1], gate, up, dgate, dup);
          }};
}

// A chunk of the head's rows; every other one has its target on top, and by far, so that no rounding moves it.
KernelCase entropy_case(const CaseMaker& make) {
  const std::int64_t V = make.shape.vocab_size;
  const std::int64_t N =
      std::clamp<std::int64_t>(ops::logits_per_chunk(make.device) / V, 8, std::max<std::int64_t>(8, make.size.tokens));
  const at::Tensor targets = make.below(V, N, at::kLong);
  at::Tensor logits = make.random({N, V}, 2);
  for (std::int64_t row = 0; row < N; row += 2) logits.select(0, row).index_fill_(0, targets.select(0, row), 30);
  return {.rows = N,
          .bytes = 2 * make.element_bytes() * static_cast<double>(N * V),
          .flops = 8 * static_cast<double>(N * V),
          .inputs = {targets, make.random_floats({N})},
          .outputs = {{"dlogits", logits},
                      {"nll", make.poison_floats({N})},
                      {"correct", at::full({N}, 7, at::TensorOptions(at::kByte).device(make.device))}},
          .call = [](const auto& backend, auto in, auto out) {
            backend.cross_entropy(out[0], in[0], in[1], out[1], out[2], out[0]);
          }};
}

}  // namespace finetune
