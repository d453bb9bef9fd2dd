// Small random decoders and examples for tests.
#pragma once

#include <ATen/ATen.h>

#include <cmath>
#include <vector>

#include "core/random.h"
#include "data/example.h"
#include "models/weights.h"

namespace finetune::testing {

/// Awkward on purpose: nothing is a multiple of 8, heads are grouped, head_dim is not width / heads.
inline DecoderOptions tiny_options() {
  DecoderOptions o;
  o.family = "llama";
  o.vocab_size = 37;
  o.width = 20;
  o.mlp_width = 27;
  o.layers = 3;
  o.heads = 6;
  o.kv_heads = 2;
  o.head_dim = 6;
  o.max_positions = 64;
  o.norm_epsilon = 1e-5;
  o.window = {0, 0, 0};
  for (std::int64_t i = 0; i < o.head_dim / 2; ++i) {
    o.rotary.inverse_frequencies.push_back(
        static_cast<float>(std::pow(10000.0, -2.0 * static_cast<double>(i) / static_cast<double>(o.head_dim))));
  }
  return o;
}

/// Weights of size about 1 / sqrt(inputs), norms near 1; the same for the same seed on every machine.
inline DecoderBase tiny_base(const DecoderOptions& o, at::ScalarType dtype, std::uint64_t seed = 1) {
  std::uint64_t stream = 0;
  const auto random = [&](std::vector<std::int64_t> sizes, double scale, double middle = 0) {
    at::Tensor tensor = at::empty(sizes, at::kDouble);
    Random numbers(seed, Purpose::test, stream++);
    double* values = tensor.data_ptr<double>();
    for (std::int64_t i = 0; i < tensor.numel(); ++i) values[i] = middle + scale * numbers.uniform(-1, 1);
    return tensor.to(dtype);
  };
  DecoderBase base;
  base.options = o;
  const std::int64_t q = o.heads * o.head_dim, kv = o.kv_heads * o.head_dim, e = q + 2 * kv;
  const auto inputs = [](std::int64_t n) { return 1.7 / std::sqrt(static_cast<double>(n)); };
  base.embed_VD = random({o.vocab_size, o.width}, 1);
  for (std::int64_t layer = 0; layer < o.layers; ++layer) {
    BlockTensors<at::Tensor> w;
    w.attention_norm_D = random({o.width}, 0.2, 1);
    w.mlp_norm_D = random({o.width}, 0.2, 1);
    w.qkv_ED = random({e, o.width}, inputs(o.width));
    w.o_DO = random({o.width, q}, inputs(q));
    w.gate_up_2FD = random({2 * o.mlp_width, o.width}, inputs(o.width));
    w.down_DF = random({o.width, o.mlp_width}, inputs(o.mlp_width));
    if (o.qkv_bias) w.qkv_bias_E = random({e}, 0.3);
    if (o.o_bias) w.o_bias_D = random({o.width}, 0.3);
    if (o.mlp_bias) w.gate_up_bias_2F = random({2 * o.mlp_width}, 0.3);
    if (o.mlp_bias) w.down_bias_D = random({o.width}, 0.3);
    const bool whole = o.qk_norm == QkNorm::whole;
    if (o.qk_norm != QkNorm::none) w.q_norm = random({whole ? q : o.head_dim}, 0.2, 1);
    if (o.qk_norm != QkNorm::none) w.k_norm = random({whole ? kv : o.head_dim}, 0.2, 1);
    if (!o.pre_norm) w.attention_norm_D = w.mlp_norm_D = at::Tensor();
    if (o.post_norm) w.attention_post_norm_D = random({o.width}, 0.2, 1);
    if (o.post_norm) w.mlp_post_norm_D = random({o.width}, 0.2, 1);
    base.blocks.push_back(w);
  }
  base.final_norm_D = random({o.width}, 0.2, 1);
  base.head_VD = o.tied_head ? base.embed_VD : random({o.vocab_size, o.width}, inputs(o.width));
  std::tie(base.cos_PK, base.sin_PK) = rotary_tables(o.rotary, o.max_positions, at::kCPU);
  if (!o.local_rotary.inverse_frequencies.empty())
    std::tie(base.local_cos_PK, base.local_sin_PK) = rotary_tables(o.local_rotary, o.max_positions, at::kCPU);
  return base;
}

/// Examples of the given lengths; every third token or so carries no loss, the last one always does.
inline std::vector<Example> tiny_examples(const std::vector<std::int64_t>& lengths, std::int64_t vocabulary,
                                          std::uint64_t seed = 7) {
  std::vector<Example> examples;
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    Random random(seed, Purpose::test, i);
    Example example;
    for (std::int64_t t = 0; t < lengths[i]; ++t) {
      example.ids.push_back(static_cast<std::int32_t>(random.below(static_cast<std::uint64_t>(vocabulary))));
      example.loss.push_back(t > 0 && (t + 1 == lengths[i] || random.below(3) > 0) ? 1 : 0);
    }
    examples.push_back(std::move(example));
  }
  return examples;
}

}  // namespace finetune::testing
