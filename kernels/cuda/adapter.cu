// In fp32. Each stage is a grid of tiles: (tile of a group's rows, or group) x columns x projection. Not tuned.
#include "kernels/api/adapter.h"
#include "kernels/cuda/adapter_groups.cuh"
#include "kernels/cuda/adapter_tensor.cuh"
#include "kernels/cuda/dropout.cuh"
#include "kernels/cuda/tile_product.cuh"

namespace finetune::kernels::cuda {
namespace {

constexpr int kNarrow = 16, kWide = 64;  // columns of a tile: ranks, widths

// Half a tile of a group's rows: block 2 i and 2 i + 1 have tile i.
__device__ TokenTile rows_at(const AdapterGroup* groups, std::int64_t count, std::int64_t block) {
  TokenTile tile = tile_at(groups, count, block / 2);
  const std::int64_t before = block % 2 * kRows, left = tile.rows - before;
  return {tile.group, tile.begin + before, left < kRows ? left : kRows};
}
static_assert(kTileRows == 2 * kRows);

/// dropout(x): tokens from `token`, columns from `column`; as a left factor (tokens x columns) or a right one.
struct DroppedInput {
  const float* x;
  std::int64_t x_row;
  const AdapterGroup* group;
  std::int64_t key, token, tokens, column, columns;
  bool tokens_are_depth;
  __device__ float at(std::int64_t i, std::int64_t k) const {
    const std::int64_t t = tokens_are_depth ? k : i, c = tokens_are_depth ? i : k;
    if (t >= tokens || c >= columns) return 0.0f;
    return x[(token + t) * x_row + column + c] * dropout_factor(*group, key, token + t - group->begin, column + c);
  }
  __device__ bool along_depth() const { return !tokens_are_depth; }
};

__global__ void project_down_kernel(AdapterForward args) {  // s = dropout(x) A^T
  const AdapterForwardProjection& p = args.projection[blockIdx.z];
  const TokenTile tile = rows_at(args.groups, args.group_count, blockIdx.x);
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.y) * kNarrow;
  if (tile.rows <= 0 || !adapts(*tile.group, p.bit) || first >= tile.group->rank) return;
  const std::int64_t columns = tile.group->rank - first;
  const DroppedInput x{
      static_cast<const float*>(args.x), args.x_row, tile.group, p.key, tile.begin, tile.rows, 0, args.inputs, false};
  const Factor a{p.weights.a + tile.group->slot * p.weights.a_slot + first * p.weights.a_row, p.weights.a_row, 1,
                 columns, args.inputs};
  float sum[kNarrow / kThreadsPerRow];
  tile_product<kNarrow>(x, a, args.inputs, sum);
  for_each_element<kNarrow>(sum, tile.rows, columns, [&](std::int64_t r, std::int64_t c, float value) {
    p.s[(tile.begin + r) * p.s_row + first + c] = value;
  });
}

__global__ void project_up_kernel(AdapterForward args) {  // y += scale s B^T
  const AdapterForwardProjection& p = args.projection[blockIdx.z];
  const TokenTile tile = rows_at(args.groups, args.group_count, blockIdx.x);
  const AdapterGroup& g = *tile.group;
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.y) * kWide;
  if (tile.rows <= 0 || !adapts(g, p.bit) || first >= p.outputs) return;
  const Factor s{p.s + tile.begin * p.s_row, p.s_row, 1, tile.rows, g.rank};
  const Factor b{p.weights.b + g.slot * p.weights.b_slot + first * p.weights.b_row, p.weights.b_row, 1,
                 p.outputs - first, g.rank};
  float sum[kWide / kThreadsPerRow];
  tile_product<kWide>(s, b, g.rank, sum);
  for_each_element<kWide>(sum, tile.rows, p.outputs - first, [&](std::int64_t r, std::int64_t c, float value) {
    static_cast<float*>(p.y)[(tile.begin + r) * p.y_row + first + c] += value * scale_of(g, p.weights);
  });
}

__global__ void down_gradient_kernel(AdapterBackward args) {  // ds = scale dy B
  const AdapterBackwardProjection& p = args.projection[blockIdx.z];
  const TokenTile tile = rows_at(args.groups, args.group_count, blockIdx.x);
  const AdapterGroup& g = *tile.group;
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.y) * kNarrow;
  if (tile.rows <= 0 || !adapts(g, p.bit) || first >= g.rank) return;
  const Factor dy{static_cast<const float*>(p.dy) + tile.begin * p.dy_row, p.dy_row, 1, tile.rows, p.outputs};
  const Factor b{p.weights.b + g.slot * p.weights.b_slot + first, 1, p.weights.b_row, g.rank - first, p.outputs};
  float sum[kNarrow / kThreadsPerRow];
  tile_product<kNarrow>(dy, b, p.outputs, sum);
  for_each_element<kNarrow>(sum, tile.rows, g.rank - first, [&](std::int64_t r, std::int64_t c, float value) {
    p.ds[(tile.begin + r) * p.ds_row + first + c] = value * scale_of(g, p.weights);
  });
}

__global__ void input_gradient_kernel(AdapterBackward args) {  // dx += sum over projections of dropout(ds A)
  const TokenTile tile = rows_at(args.groups, args.group_count, blockIdx.x);
  const AdapterGroup& g = *tile.group;
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.y) * kWide, columns = args.inputs - first;
  if (tile.rows <= 0) return;
  float total[kWide / kThreadsPerRow] = {};
  bool any = false;
  for (std::int64_t i = 0; i < args.projections; ++i) {
    const AdapterBackwardProjection& p = args.projection[i];
    if (!adapts(g, p.bit)) continue;
    any = true;
    const Factor ds{p.ds + tile.begin * p.ds_row, p.ds_row, 1, tile.rows, g.rank};
    const Factor a{p.weights.a + g.slot * p.weights.a_slot + first, 1, p.weights.a_row, columns, g.rank};
    float sum[kWide / kThreadsPerRow];
    tile_product<kWide>(ds, a, g.rank, sum);
    const std::int64_t row = tile.begin - g.begin + threadIdx.x / kThreadsPerRow;
    for (int j = 0; j < kWide / kThreadsPerRow; ++j) {
      const std::int64_t column = first + threadIdx.x % kThreadsPerRow + j * kThreadsPerRow;
      total[j] += sum[j] * dropout_factor(g, p.key, row, column);
    }
  }
  if (!any) return;
  for_each_element<kWide>(total, tile.rows, columns, [&](std::int64_t r, std::int64_t c, float value) {
    static_cast<float*>(args.dx)[(tile.begin + r) * args.dx_row + first + c] += value;
  });
}

__global__ void a_gradient_kernel(AdapterBackward args) {  // dA += ds^T dropout(x)
  const std::int64_t projection = blockIdx.z % args.projections, row = blockIdx.z / args.projections * kRows;
  const AdapterBackwardProjection& p = args.projection[projection];
  const AdapterGroup& g = args.groups[blockIdx.x];
  if (!adapts(g, p.bit) || row >= g.rank) return;
  const std::int64_t column = static_cast<std::int64_t>(blockIdx.y) * kWide, tokens = g.end - g.begin;
  const Factor ds{p.ds + g.begin * p.ds_row + row, 1, p.ds_row, g.rank - row, tokens};
  const DroppedInput x{
      static_cast<const float*>(args.x), args.x_row, &g, p.key, g.begin, tokens, column, args.inputs - column, true};
  float sum[kWide / kThreadsPerRow];
  tile_product<kWide>(ds, x, tokens, sum);
  for_each_element<kWide>(sum, g.rank - row, args.inputs - column, [&](std::int64_t r, std::int64_t c, float value) {
    p.da[g.slot * p.da_slot + (row + r) * p.da_row + column + c] += value;
  });
}

__global__ void b_gradient_kernel(AdapterBackward args) {  // dB += scale dy^T s
  const std::int64_t projection = blockIdx.z % args.projections, column = blockIdx.z / args.projections * kNarrow;
  const AdapterBackwardProjection& p = args.projection[projection];
  const AdapterGroup& g = args.groups[blockIdx.x];
  const std::int64_t row = static_cast<std::int64_t>(blockIdx.y) * kRows, tokens = g.end - g.begin;
  if (!adapts(g, p.bit) || column >= g.rank || row >= p.outputs) return;
  const Factor dy{static_cast<const float*>(p.dy) + g.begin * p.dy_row + row, 1, p.dy_row, p.outputs - row, tokens};
  const Factor s{p.s + g.begin * p.s_row + column, 1, p.s_row, g.rank - column, tokens};
  float sum[kNarrow / kThreadsPerRow];
  tile_product<kNarrow>(dy, s, tokens, sum);
  for_each_element<kNarrow>(sum, p.outputs - row, g.rank - column, [&](std::int64_t r, std::int64_t c, float value) {
    p.db[g.slot * p.db_slot + (row + r) * p.db_row + column + c] += value * scale_of(g, p.weights);
  });
}

}  // namespace

Status adapter_forward(const AdapterForward& args, Stream stream) {
  if (args.type == Type::bf16) return adapter_forward_bf16(args, stream);
  const unsigned halves = blocks(2 * args.tiles, 1), projections = blocks(args.projections, 1);
  const dim3 down(halves, blocks(args.largest_rank, kNarrow), projections);
  const dim3 up(halves, blocks(largest_outputs(args), kWide), projections);
  const Status first = launch(project_down_kernel, down, kThreads, stream, args);
  return first.ok() ? launch(project_up_kernel, up, kThreads, stream, args) : first;
}

Status adapter_backward(const AdapterBackward& args, Stream stream) {
  if (args.type == Type::bf16) return adapter_backward_bf16(args, stream);
  const unsigned halves = blocks(2 * args.tiles, 1), projections = blocks(args.projections, 1);
  const unsigned groups = blocks(args.group_count, 1), wide = blocks(args.inputs, kWide);
  const dim3 down(halves, blocks(args.largest_rank, kNarrow), projections);
  const dim3 a(groups, wide, projections * blocks(args.largest_rank, kRows));
  const dim3 b(groups, blocks(largest_outputs(args), kRows), projections * blocks(args.largest_rank, kNarrow));
  Status status = launch(down_gradient_kernel, down, kThreads, stream, args);
  if (status.ok()) status = launch(b_gradient_kernel, b, kThreads, stream, args);
  if (status.ok()) status = launch(a_gradient_kernel, a, kThreads, stream, args);
  if (!status.ok() || args.dx == nullptr) return status;
  return launch(input_gradient_kernel, dim3(halves, wide), kThreads, stream, args);
}

}  // namespace finetune::kernels::cuda
