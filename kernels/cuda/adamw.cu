// The whole bank in one launch: blocks over (chunk of parameters, slot). Norms in two: parts of a slot, then their sum.
#include "kernels/api/adamw.h"
#include "kernels/cuda/common.cuh"

namespace finetune::kernels::cuda {
namespace {

constexpr std::int64_t kChunk = 16 * kThreads;  // parameters of a block: some microseconds of work

// A slot's constants, each rounded from double on its own.
struct Constants {
  float gradient_scale, new1, beta2, new2, root_correction, epsilon;
  double rate, decay, correction1;
};
// What a range changes.
struct Rates {
  float keep, step_size;
};

__device__ bool is_finite(double value) {
  return value - value == 0;
}

__device__ bool moves(const AdamW& args, std::int64_t entry) {
  return is_finite(args.norms[entry]) && is_finite(args.losses[entry]);
}

__device__ Constants constants_of(const AdamWSlot& u, double norm, std::int64_t steps) {
  const double step = static_cast<double>(steps + 1), scale = u.max_norm / (norm + 1e-6);
  const double correction1 = 1 - pow(u.beta1, step), correction2 = 1 - pow(u.beta2, step);
  return {static_cast<float>(u.max_norm > 0 && scale < 1 ? scale : 1.0),
          static_cast<float>(1 - u.beta1),
          static_cast<float>(u.beta2),
          static_cast<float>(1 - u.beta2),
          static_cast<float>(sqrt(correction2)),
          static_cast<float>(u.epsilon),
          u.learning_rate,
          u.weight_decay,
          correction1};
}

// Of the parameters in a range, or in none.
__device__ Rates rates_of(const Constants& c, const ParameterRange* range) {
  const double rate = range == nullptr ? c.rate : c.rate * range->rate;
  return {range == nullptr ? 1.0f : static_cast<float>(1 - rate * c.decay), static_cast<float>(rate / c.correction1)};
}

// The first of sorted, disjoint ranges that ends behind `parameter`.
__device__ std::int32_t range_at(const ParameterRange* ranges, std::int32_t count, std::int64_t parameter) {
  std::int32_t low = 0, high = count;
  while (low < high) {
    const std::int32_t middle = (low + high) / 2;
    if (ranges[middle].end <= parameter)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

__device__ void step(const AdamW& args, const Constants& c, const Rates& rates, std::int64_t at) {
  const float g = args.grads[at] * c.gradient_scale, before = args.first[at];
  const float m = before + (g - before) * c.new1;
  const float v = args.second[at] * c.beta2 + g * g * c.new2;
  args.first[at] = m;
  args.second[at] = v;
  args.params[at] = args.params[at] * rates.keep - rates.step_size * (m / (sqrtf(v) / c.root_correction + c.epsilon));
}

__global__ void adamw_kernel(AdamW args) {
  __shared__ Constants constants;
  const AdamWSlot& u = args.slots[blockIdx.y];
  const bool moving = moves(args, blockIdx.y);
  if (threadIdx.x == 0) constants = constants_of(u, args.norms[blockIdx.y], args.steps[u.slot]);
  __syncthreads();
  const std::int64_t begin = static_cast<std::int64_t>(blockIdx.x) * kChunk;
  const std::int64_t end = begin + kChunk < args.parameters ? begin + kChunk : args.parameters;
  const ParameterRange* ranges = args.decayed + u.first_decayed;
  std::int32_t range = range_at(ranges, u.decayed_count, begin), known = -1;
  Rates rates = rates_of(constants, nullptr);
  bool inside = false;
  for (std::int64_t p = begin + threadIdx.x; p < end; p += kThreads) {
    const std::int64_t at = u.slot * args.slot_stride + p;
    while (range < u.decayed_count && ranges[range].end <= p) ++range;
    const bool within = range < u.decayed_count && ranges[range].begin <= p;
    if (within != inside || (within && known != range)) {
      rates = rates_of(constants, within ? ranges + range : nullptr);
      inside = within;
      known = range;
    }
    if (moving) step(args, constants, rates, at);
    args.grads[at] = 0;
  }
}

// A launch of its own: every block of the one before reads the counts.
__global__ void count_steps_kernel(AdamW args) {
  const std::int64_t entry = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (entry < args.slot_count && moves(args, entry)) ++args.steps[args.slots[entry].slot];
}

// Chunk c of piece p belongs to part (c + p) % kNormParts: small pieces spread over the parts as large ones do.
__global__ void partial_norms_kernel(GradientNorms args) {
  __shared__ double buffer[kThreads / kLanes];
  const std::int64_t part = blockIdx.x, entry = blockIdx.y;
  const NormSlot& slot = args.slots[entry];
  double sum = 0;
  for (std::int64_t p = 0; p < slot.piece_count; ++p) {
    const GradientPiece& piece = args.pieces[slot.first_piece + p];
    const float* grads = args.grads + slot.slot * args.slot_stride + piece.offset;
    const std::int64_t count = piece.rows * piece.length;
    for (std::int64_t c = (part + kNormParts - p % kNormParts) % kNormParts; c * kChunk < count; c += kNormParts) {
      const std::int64_t end = (c + 1) * kChunk < count ? (c + 1) * kChunk : count;
      for (std::int64_t e = c * kChunk + threadIdx.x; e < end; e += kThreads) {
        const double value = grads[e / piece.length * piece.stride + e % piece.length];
        sum += value * value;
      }
    }
  }
  sum = block_sum(sum, buffer);
  if (threadIdx.x == 0) args.partial[entry * kNormParts + part] = sum;
}

__global__ void norms_kernel(GradientNorms args) {
  __shared__ double buffer[kThreads / kLanes];
  const std::int64_t entry = blockIdx.x, part = threadIdx.x;
  const double sum = block_sum(part < kNormParts ? args.partial[entry * kNormParts + part] : 0.0, buffer);
  if (part == 0) args.norms[entry] = sqrt(sum);
}
static_assert(kNormParts <= kThreads);

}  // namespace

Status adamw(const AdamW& args, Stream stream) {
  const dim3 grid(blocks(args.parameters, kChunk), blocks(args.slot_count, 1));
  const Status status = launch(adamw_kernel, grid, kThreads, stream, args);
  if (!status.ok()) return status;
  return launch(count_steps_kernel, dim3(blocks(args.slot_count, kThreads)), kThreads, stream, args);
}

Status gradient_norms(const GradientNorms& args, Stream stream) {
  const dim3 grid(static_cast<unsigned>(kNormParts), blocks(args.slot_count, 1));
  const Status partial = launch(partial_norms_kernel, grid, kThreads, stream, args);
  return partial.ok() ? launch(norms_kernel, dim3(blocks(args.slot_count, 1)), kThreads, stream, args) : partial;
}

}  // namespace finetune::kernels::cuda
