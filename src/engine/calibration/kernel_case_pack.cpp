// Operations that know of examples and trials: attention and adapters.
#include <ATen/ATen.h>

#include <algorithm>

#include "engine/calibration/kernel_case.h"

namespace finetune {
namespace {

constexpr std::int64_t kCaseTrials = 4;

// Segments of `longest` tokens and, between them, of about half as many, until all tokens have one.
ops::Segments some_segments(const CaseSize& size, at::Device device, double& squares) {
  std::vector<std::int32_t> bounds{0};
  squares = 0;
  std::int64_t longest = 0;
  for (std::int64_t begin = 0, i = 0; begin < size.tokens; ++i) {
    const std::int64_t length =
        std::min(i % 2 == 0 ? size.segment : std::max<std::int64_t>(1, size.segment / 2 + 1), size.tokens - begin);
    begin += length;
    longest = std::max(longest, length);
    squares += static_cast<double>(length * length);
    bounds.push_back(static_cast<std::int32_t>(begin));
  }
  return ops::make_segments(std::move(bounds), longest, device);
}

// Rows of the pack in equal parts, the first trial with half of the rank.
std::vector<ops::AdapterGroup> some_trials(const CaseMaker& make, float dropout) {
  std::vector<ops::AdapterGroup> list;
  const std::int64_t T = make.size.tokens;
  for (std::int64_t i = 0; i < kCaseTrials; ++i)
    list.push_back({.begin = T * i / kCaseTrials,
                    .end = T * (i + 1) / kCaseTrials,
                    .slot = kCaseTrials - 1 - i,
                    .rank = static_cast<std::int32_t>(make.shape.rank),
                    .projections = 7,
                    .scale = 0.5f * static_cast<float>(i + 1),
                    .dropout = dropout,
                    .seed = static_cast<std::uint64_t>(i),
                    .step = 3});
  return list;
}

}  // namespace

KernelCase attention_case(const CaseMaker& make) {
  const std::int64_t T = make.size.tokens, H = make.shape.heads, G = make.shape.kv_heads, K = make.shape.head_dim;
  double squares = 0;
  const ops::Segments segments = some_segments(make.size, make.device, squares);
  const ops::AttentionOptions options{
      .scale = 1 / std::sqrt(static_cast<double>(K)), .window = make.shape.window, .softcap = make.shape.softcap};
  return {.rows = T,
          .bytes = make.element_bytes() * static_cast<double>(T * K * (5 * H + 6 * G)),
          .flops = 7 * squares * static_cast<double>(H * K),
          .inputs = {make.random({T, H, K}), make.random({T, G, K}), make.random({T, G, K}), make.random({T, H, K})},
          .outputs = {{"o", make.poison({T, H, K})},
                      {"lse", make.poison_floats({H, T})},
                      {"dq", make.poison({T, H, K})},
                      {"dk", make.poison({T, G, K})},
                      {"dv", make.poison({T, G, K})}},
          .call = [segments, options](const auto& backend, auto in, auto out) {
            backend.attention_forward(in[0], in[1], in[2], segments, options, out[0], out[1]);
            backend.attention_backward(in[3], in[0], in[1], in[2], out[0], out[1], segments, options, out[2], out[3],
                                       out[4]);
          }};
}

// q, k and v of one block, which share their input.
KernelCase adapter_case(const CaseMaker& make, float dropout) {
  const std::int64_t T = make.size.tokens, D = make.shape.width, R = make.shape.rank, S = kCaseTrials;
  const std::int64_t outputs[] = {make.shape.heads * make.shape.head_dim, make.shape.kv_heads * make.shape.head_dim,
                                  make.shape.kv_heads * make.shape.head_dim};
  const ops::AdapterGroups groups = ops::adapter_groups_on(some_trials(make, dropout), make.device);
  KernelCase one{.rows = T, .inputs = {make.random({T, D})}, .outputs = {{"dx", make.random({T, D})}}};
  double all = 0;
  for (const std::int64_t O : outputs) {
    for (const at::Tensor& tensor :
         {make.random_floats({S, R, D}, 0.05), make.random_floats({S, O, R}, 0.05), make.random({T, O})})
      one.inputs.push_back(tensor);
    one.outputs.insert(one.outputs.end(), {{"s", make.poison_floats({T, R})},
                                           {"y", make.random({T, O})},
                                           {"da", make.random_floats({S, R, D})},
                                           {"db", make.random_floats({S, O, R})}});
    all += static_cast<double>(O);
  }
  one.bytes = make.element_bytes() * static_cast<double>(T) * (4 * static_cast<double>(D) + 3 * all);
  one.flops = 6 * static_cast<double>(T * R) * (3 * static_cast<double>(D) + all);
  one.call = [groups](const auto& backend, auto in, auto out) {
    std::vector<ops::AdapterOutput> forward;
    std::vector<ops::AdapterOutputGradient> backward;
    for (std::size_t i = 0; i < 3; ++i) {
      const auto bit = static_cast<std::int64_t>(i);
      const at::Tensor &a = in[3 * i + 1], &b = in[3 * i + 2], &dy = in[3 * i + 3];
      forward.push_back({bit, bit, a, b, out[4 * i + 1], out[4 * i + 2]});
      backward.push_back({bit, bit, a, b, out[4 * i + 1], dy, out[4 * i + 3], out[4 * i + 4]});
    }
    backend.adapter_forward(in[0], groups, forward);
    backend.adapter_backward(in[0], groups, backward, out[0]);
  };
  return one;
}

}  // namespace finetune
