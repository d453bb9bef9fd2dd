// Operations on what is kept: parameters and moments, keys and values, packed weights.
#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "engine/calibration/kernel_case.h"
#include "engine/memory.h"

namespace finetune {
namespace {

constexpr std::int64_t kMostParameters = std::int64_t{1} << 22, kMostWeights = std::int64_t{1} << 23;
constexpr std::int64_t kDecodedRows = 8, kSeenTokens = 96;

// Outputs of the MLP's first projections, or as many of them as tell how fast it goes.
std::int64_t some_outputs(const KernelShape& shape) {
  return std::min(shape.mlp_width, std::max<std::int64_t>(8, kMostWeights / shape.width));
}

}  // namespace

// The norms of two slots of the adapters' size, and their step.
KernelCase optimizer_case(const CaseMaker& make) {
  const KernelShape& shape = make.shape;
  const std::int64_t S = 2, P = std::min(kMostParameters, adapter_parameters(decoder_of(shape, shape.layers, 8),
                                                                             shape.rank, ProjectionSet::all()));
  const ops::NormPlan plan =
      ops::make_norm_plan({{.slot = 0, .pieces = {{0, 1, P, P}}}, {.slot = 1, .pieces = {{0, 1, P, P}}}}, make.device);
  const std::vector<ops::SlotUpdate> updates{{.slot = 0, .learning_rate = 1e-3, .max_norm = 1},
                                             {.slot = 1, .learning_rate = 1e-2, .weight_decay = 0.1}};
  const auto doubles = at::TensorOptions(at::kDouble).device(make.device);
  return {.rows = P,
          .bytes = 36.0 * static_cast<double>(S * P),
          .flops = 16 * static_cast<double>(S * P),
          .inputs = {at::zeros({S}, doubles)},
          .outputs = {{"parameters", make.random_floats({S, P})},
                      {"gradients", make.random_floats({S, P}, 1e-2)},
                      {"first moments", make.random_floats({S, P}, 1e-2)},
                      {"second moments", make.random_floats({S, P}, 1e-2).square()},
                      {"norms", at::full({S}, std::nan(""), doubles)},
                      {"steps", at::full({S}, 5, at::TensorOptions(at::kLong).device(make.device))}},
          .call = [plan, updates](const auto& backend, auto in, auto out) {
            backend.gradient_norms(out[1], plan, out[4]);
            ops::UpdateProgress done;
            backend.adamw({out[0], out[1], out[2], out[3], out[5]}, updates, out[4], in[0], done);
          }};
}

// A step of some texts: a product of their rows, and attention over what they have in the cache.
KernelCase decoding_case(const CaseMaker& make) {
  const std::int64_t R = kDecodedRows, D = make.shape.width, F = some_outputs(make.shape), H = make.shape.heads,
                     G = make.shape.kv_heads, K = make.shape.head_dim, C = ops::kCacheBlock;
  const std::int64_t blocks = kSeenTokens / C;
  ops::CacheRows rows;
  rows.seen.assign(static_cast<std::size_t>(R), static_cast<std::int32_t>(kSeenTokens));
  const auto ints = at::TensorOptions(at::kInt);
  rows.tables_SB = (at::arange(R * blocks, ints) + 1).view({R, blocks}).to(make.device);
  rows.sequences_T = at::arange(R, ints).to(make.device);
  rows.seen_T = at::full({R}, kSeenTokens, ints).to(make.device);
  const ops::AttentionOptions options{.scale = 1 / std::sqrt(static_cast<double>(K)), .softcap = make.shape.softcap};
  const double cached = 2.0 * static_cast<double>(R * kSeenTokens * G * K);
  return {.rows = R,
          .bytes = make.element_bytes() * (static_cast<double>(D * F) + cached),
          .flops = 2 * static_cast<double>(R * D * F) + 4 * static_cast<double>(R * kSeenTokens * H * K),
          .inputs = {make.random({R, D}), make.random({F, D}), make.random({R, H, K}),
                     make.random({R * blocks + 1, G, K, C}), make.random({R * blocks + 1, G, C, K})},
          .outputs = {{"product", make.poison({R, F})}, {"attention", make.poison({R, H, K})}},
          .call = [rows, options](const auto& backend, auto in, auto out) {
            backend.row_product(in[0], in[1], {}, out[0], false);
            backend.cached_attention(in[2], {in[3], in[4]}, rows, options, out[1]);
          }};
}

// A projection of the MLP in nf4.
KernelCase unpacking_case(const CaseMaker& make) {
  const std::int64_t F = some_outputs(make.shape), D = make.shape.width, elements = F * D;
  ops::PackedMatrix matrix{.code = kernels::Code::nf4, .rows = F, .columns = D};
  matrix.codes = make.below(256, (elements + 1) / 2, at::kByte);
  matrix.absmax = make.random_floats({(elements + kernels::kNf4Block - 1) / kernels::kNf4Block}, 0.02).abs();
  matrix.numbers = at::tensor(at::ArrayRef<float>(kernels::kNf4)).to(make.device);
  return {.rows = F,
          .bytes = (0.5 + make.element_bytes()) * static_cast<double>(elements),
          .flops = static_cast<double>(elements),
          .inputs = {},
          .outputs = {{"weights", make.poison({F, D})}},
          .call = [matrix](const auto& backend, auto, auto out) { backend.dequantize(matrix, out[0]); }};
}

}  // namespace finetune
