#include "engine/memory.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "engine/graph_cache.h"
#include "kernels/torch/composite.h"

namespace finetune {
namespace {

// What LibTorch and MKL allocate on the first step whatever its size: measured 8 to 12 MiB.
constexpr std::int64_t kFirstStep = std::int64_t{10} << 20;

}  // namespace

std::int64_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::int64_t size = 0, pages = 0;
  statm >> size >> pages;
  return pages * sysconf(_SC_PAGESIZE);
}

// Cosines and sines (models/weights.h).
static std::int64_t rotary_bytes(const DecoderOptions& m) {
  const auto columns = [](const RotaryOptions& r) {
    return std::ssize(r.inverse_frequencies) + std::ssize(r.long_frequencies);
  };
  const bool local = std::ranges::find(m.rope, Rope::local) != m.rope.end();
  return 2 * 4 * m.max_positions * (columns(m.rotary) + (local ? columns(m.local_rotary) : 0));
}

std::int64_t loaded_bytes(const DecoderOptions& m, const Quantization& quantization, std::int64_t element_bytes) {
  return base_bytes(m, quantization, element_bytes) + rotary_bytes(m);
}

std::int64_t adapter_parameters(const DecoderOptions& m, std::int64_t rank, ProjectionSet targets) {
  std::int64_t features = 0;
  for (const Projection p : targets.members()) features += projection_in(m, p) + projection_out(m, p);
  return m.layers * rank * features;
}

// Of one slot's projections over all layers.
static std::int64_t adapted_outputs(const DecoderOptions& m, ProjectionSet targets) {
  std::int64_t outputs = 0;
  for (const Projection p : targets.members()) outputs += projection_out(m, p);
  return m.layers * outputs;
}

// Vectors and singular values in fp32 (models/pissa.h).
static std::int64_t principal_bytes(const DecoderOptions& m, std::int64_t rank, ProjectionSet targets) {
  return 4 * (adapter_parameters(m, rank, targets) + m.layers * std::ssize(targets.members()) * rank);
}

std::int64_t activation_bytes_per_token(const DecoderOptions& m, const MemoryPlan& plan) {
  const std::int64_t q = m.heads * m.head_dim, kv = m.kv_heads * m.head_dim, e = plan.activation_bytes;
  const std::int64_t adapted = std::ssize(plan.targets.members());
  // Kept by each block (models/blocks/context.h): residual twice, q|k|v, attention output, gate|up; log-sum-exp and two
  // norm factors in fp32; x a^T of each adapter in fp32.
  std::int64_t block = e * (2 * m.width + q + 2 * kv + q + 2 * m.mlp_width) + 4 * (m.heads + 2);
  if (m.qk_norm != QkNorm::none) block += e * (q + kv) + 4 * (m.heads + m.kv_heads);
  if (m.post_norm) block += e * 2 * m.width + 4 * 2;
  if (!plan.full) block += 4 * adapted * plan.rank;
  const std::int64_t products = q + 2 * kv + 2 * m.width + 2 * m.mlp_width;  // before their magnitudes
  if (plan.magnitudes) block += e * products;
  // Shared by all blocks: norm output and its gradient, residual gradient, gated product, its gradient and gate|up's,
  // attention's output gradient and q|k|v's.
  const bool apart = m.post_norm || m.residual_scale != 1;  // a branch's output, before it is added, and its gradients
  const std::int64_t shared = e * ((apart ? 7 : 4) * m.width + 4 * m.mlp_width + 2 * q + q + 2 * kv);
  return m.layers * block + shared + (plan.magnitudes ? e * products : 0);
}

// The temporaries of the largest single operation (kernels/torch/composite.cpp, flash.cpp), counted in fp32: a gated
// unit's backward, flash attention's sums of dq with its gradients for every query head, the scores of the other
// attention, the loss's copies of the logits, AdamW's of a slice of a slot, the gradient of a whole head before it is
// added.
static std::int64_t composition_bytes(const DecoderOptions& m, const MemoryPlan& plan, std::int64_t logits,
                                      std::int64_t parameters) {
  const std::int64_t t = plan.tokens_per_pass, slice = std::min(parameters, ops::kOptimizerSlice);
  const std::int64_t scores = plan.element_bytes == 2 ? 0 : std::min(t * t * m.heads, ops::kScoresAtOnce);
  const std::int64_t head = plan.full || plan.saved.lm_head ? m.vocab_size * m.width : 0;
  return 4 * std::max({9 * t * m.mlp_width, 3 * t * m.heads * m.head_dim, 4 * scores, 4 * logits, 8 * slice, head});
}

// Numbers of quantised weights: on the processor of a stack at a time, on a GPU of two layers (models/weight_ring.h),
// and what composing those of a stack takes, codes and products in fp32.
static std::int64_t number_bytes(const DecoderOptions& m, const MemoryPlan& plan) {
  if (!plan.composed) return largest_stack(m) * plan.element_bytes;
  return 2 * layer_projections(m) * plan.element_bytes + 12 * largest_stack(m);
}

// Operands of the largest product in the weights' dtype (kernels/cpu/rounded_product.cpp): of a token, and of all.
static std::int64_t rounded_bytes_per_token(const DecoderOptions& m, const MemoryPlan& plan) {
  if (plan.element_bytes >= plan.activation_bytes) return 0;
  return plan.element_bytes * std::max({m.width, 2 * m.mlp_width, (m.heads + 2 * m.kv_heads) * m.head_dim});
}
static std::int64_t rounded_bytes(const DecoderOptions& m, const MemoryPlan& plan, std::int64_t logits) {
  const std::int64_t per_token = rounded_bytes_per_token(m, plan);
  return per_token == 0 ? 0 : std::max(plan.tokens_per_pass * per_token, plan.element_bytes * logits);
}

// Captured passes: some 60 launches a layer, of which the driver keeps arguments and a record. Reckoned, not measured.
static std::int64_t graph_bytes(const DecoderOptions& m) {
  constexpr std::int64_t kNodesOfALayer = 60, kBytesOfANode = 4096;
  return static_cast<std::int64_t>(kMostGraphs) * m.layers * kNodesOfALayer * kBytesOfANode;
}

MemoryEstimate estimate_memory(const DecoderOptions& m, const MemoryPlan& plan) {
  MemoryEstimate estimate;
  estimate.base = loaded_bytes(m, plan.quantization, plan.element_bytes);
  const std::int64_t magnitudes = plan.magnitudes ? adapted_outputs(m, plan.targets) : 0;
  const std::int64_t parameters =
      plan.full ? base_parameters(m)
                : adapter_parameters(m, plan.rank, plan.targets) + magnitudes + saved_parameters(m, plan.saved);
  estimate.slots = plan.slots * 4 * 4 * parameters;   // parameters, gradients, two moments in fp32
  estimate.slots += plan.slots * 2 * 4 * magnitudes;  // inverse norms and factors (models/dora.h)
  if (plan.principal > 0) estimate.slots += principal_bytes(m, plan.principal, plan.targets);
  if (plan.full && plan.element_bytes != 4) estimate.slots += plan.slots * parameters * plan.element_bytes;
  estimate.images = plan.images * 3 * 4 * parameters;
  const std::int64_t chunk = std::max<std::int64_t>(64, plan.logits_per_chunk / m.vocab_size);  // models/head.cpp
  const std::int64_t logits = std::min(chunk, plan.loss_rows_per_pass) * m.vocab_size;
  estimate.activations = plan.tokens_per_pass * activation_bytes_per_token(m, plan) +
                         plan.loss_rows_per_pass * 3 * m.width * plan.activation_bytes +
                         logits * plan.activation_bytes + rounded_bytes(m, plan, logits);
  if (plan.quantization.code) estimate.activations += number_bytes(m, plan);
  if (plan.saved.lm_head && plan.element_bytes != 4)  // a copy in the base's type
    estimate.activations += m.vocab_size * m.width * plan.element_bytes;
  if (plan.composed) estimate.activations += composition_bytes(m, plan, logits, parameters);
  if (plan.composed) estimate.activations += graph_bytes(m);
  estimate.activations *= plan.lanes;
  estimate.caches = plan.cache * plan.lanes;
  estimate.program = plan.program + kFirstStep;
  return estimate;
}

std::int64_t slots_that_fit(std::int64_t wanted, const std::function<bool(std::int64_t)>& fits) {
  std::int64_t slots = std::max<std::int64_t>(1, wanted);
  while (slots > 1 && !fits(slots)) --slots;
  return slots;
}

std::int64_t fit_tokens_per_pass(const DecoderOptions& m, MemoryPlan plan, std::int64_t available,
                                 std::int64_t wanted) {
  plan.tokens_per_pass = 0;
  plan.loss_rows_per_pass = 0;
  const std::int64_t left = available - estimate_memory(m, plan).to_come(false);
  std::int64_t per_token = activation_bytes_per_token(m, plan) + 3 * m.width * plan.activation_bytes;
  per_token += rounded_bytes_per_token(m, plan);
  if (plan.composed) per_token += 4 * std::max(9 * m.mlp_width, 3 * m.heads * m.head_dim);
  const std::int64_t fits = left / per_token;
  return std::clamp<std::int64_t>(fits, 512, wanted);
}

}  // namespace finetune
