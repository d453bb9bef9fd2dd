// Each stage is a grid of tiles: (tile of a group's rows, or group) x columns x projection. Not tuned: fp32 arithmetic.
#include "kernels/api/adapter.h"
#include "kernels/cuda/dropout.cuh"
#include "kernels/cuda/tile_product.cuh"

namespace finetune::kernels::cuda {
namespace {

constexpr int kNarrow = 16, kWide = 64;  // columns of a tile: ranks, widths

__device__ bool adapts(const AdapterGroup& group, std::int64_t bit) {
  return (group.projections >> bit & 1) != 0;
}

__device__ float scale_of(const AdapterGroup& group, const AdapterWeights& weights) {
  return weights.scales != nullptr ? weights.scales[group.slot] : group.scale;
}

/// The rows of a tile: part of one group, never of two. None (`rows` below 1) behind the last group's.
struct Tile {
  const AdapterGroup* group;
  std::int64_t begin, rows;
};

__device__ Tile tile_at(const AdapterGroup* groups, std::int64_t count, std::int64_t index) {
  std::int64_t low = 0, high = count;  // the last group whose first tile is at most `index`
  while (high - low > 1) {
    const std::int64_t middle = (low + high) / 2;
    if (groups[middle].first_tile <= index)
      low = middle;
    else
      high = middle;
  }
  const AdapterGroup& group = groups[low];
  const std::int64_t begin = group.begin + (index - group.first_tile) * kTileRows;
  return {&group, begin, group.end - begin < kTileRows ? group.end - begin : kTileRows};
}
static_assert(kTileRows == kRows);

/// dropout(x): tokens from `token`, columns from `column`; as a left factor (tokens x columns) or a right one.
template <typename T>
struct DroppedInput {
  const T* x;
  std::int64_t x_row;
  const AdapterGroup* group;
  std::int64_t key, token, tokens, column, columns;
  bool tokens_are_depth;
  __device__ float at(std::int64_t i, std::int64_t k) const {
    const std::int64_t t = tokens_are_depth ? k : i, c = tokens_are_depth ? i : k;
    if (t >= tokens || c >= columns) return 0.0f;
    return to_float(x[(token + t) * x_row + column + c]) *
           dropout_factor(*group, key, token + t - group->begin, column + c);
  }
  __device__ bool along_depth() const { return !tokens_are_depth; }
};

/// *to += value, rounded as a tensor of the storage type would be.
template <typename T>
__device__ void add(T* to, float value) {
  store(to, to_float(*to) + rounded<T>(value));
}

template <typename T>
__global__ void project_down_kernel(AdapterForward args) {  // s = dropout(x) A^T
  const AdapterForwardProjection& p = args.projection[blockIdx.z];
  const Tile tile = tile_at(args.groups, args.group_count, blockIdx.x);
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.y) * kNarrow;
  if (tile.rows <= 0 || !adapts(*tile.group, p.bit) || first >= tile.group->rank) return;
  const std::int64_t columns = tile.group->rank - first;
  const DroppedInput<T> x{
      static_cast<const T*>(args.x), args.x_row, tile.group, p.key, tile.begin, tile.rows, 0, args.inputs, false};
  const Factor<float> a{p.weights.a + tile.group->slot * p.weights.a_slot + first * p.weights.a_row, p.weights.a_row, 1,
                        columns, args.inputs};
  float sum[kNarrow / kThreadsPerRow];
  tile_product<kNarrow>(x, a, args.inputs, sum);
  for_each_element<kNarrow>(sum, tile.rows, columns, [&](std::int64_t r, std::int64_t c, float value) {
    p.s[(tile.begin + r) * p.s_row + first + c] = value;
  });
}

template <typename T>
__global__ void project_up_kernel(AdapterForward args) {  // y += scale s B^T
  const AdapterForwardProjection& p = args.projection[blockIdx.z];
  const Tile tile = tile_at(args.groups, args.group_count, blockIdx.x);
  const AdapterGroup& g = *tile.group;
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.y) * kWide;
  if (tile.rows <= 0 || !adapts(g, p.bit) || first >= p.outputs) return;
  const Factor<float> s{p.s + tile.begin * p.s_row, p.s_row, 1, tile.rows, g.rank};
  const Factor<float> b{p.weights.b + g.slot * p.weights.b_slot + first * p.weights.b_row, p.weights.b_row, 1,
                        p.outputs - first, g.rank};
  float sum[kWide / kThreadsPerRow];
  tile_product<kWide>(s, b, g.rank, sum);
  for_each_element<kWide>(sum, tile.rows, p.outputs - first, [&](std::int64_t r, std::int64_t c, float value) {
    add(static_cast<T*>(p.y) + (tile.begin + r) * p.y_row + first + c, value * scale_of(g, p.weights));
  });
}

template <typename T>
__global__ void down_gradient_kernel(AdapterBackward args) {  // ds = scale dy B
  const AdapterBackwardProjection& p = args.projection[blockIdx.z];
  const Tile tile = tile_at(args.groups, args.group_count, blockIdx.x);
  const AdapterGroup& g = *tile.group;
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.y) * kNarrow;
  if (tile.rows <= 0 || !adapts(g, p.bit) || first >= g.rank) return;
  const Factor<T> dy{static_cast<const T*>(p.dy) + tile.begin * p.dy_row, p.dy_row, 1, tile.rows, p.outputs};
  const Factor<float> b{p.weights.b + g.slot * p.weights.b_slot + first, 1, p.weights.b_row, g.rank - first, p.outputs};
  float sum[kNarrow / kThreadsPerRow];
  tile_product<kNarrow>(dy, b, p.outputs, sum);
  for_each_element<kNarrow>(sum, tile.rows, g.rank - first, [&](std::int64_t r, std::int64_t c, float value) {
    p.ds[(tile.begin + r) * p.ds_row + first + c] = value * scale_of(g, p.weights);
  });
}

template <typename T>
__global__ void input_gradient_kernel(AdapterBackward args) {  // dx += sum over projections of dropout(ds A)
  const Tile tile = tile_at(args.groups, args.group_count, blockIdx.x);
  const AdapterGroup& g = *tile.group;
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.y) * kWide, columns = args.inputs - first;
  if (tile.rows <= 0) return;
  float total[kWide / kThreadsPerRow] = {};
  bool any = false;
  for (std::int64_t i = 0; i < args.projections; ++i) {
    const AdapterBackwardProjection& p = args.projection[i];
    if (!adapts(g, p.bit)) continue;
    any = true;
    const Factor<float> ds{p.ds + tile.begin * p.ds_row, p.ds_row, 1, tile.rows, g.rank};
    const Factor<float> a{p.weights.a + g.slot * p.weights.a_slot + first, 1, p.weights.a_row, columns, g.rank};
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
    add(static_cast<T*>(args.dx) + (tile.begin + r) * args.dx_row + first + c, value);
  });
}

template <typename T>
__global__ void a_gradient_kernel(AdapterBackward args) {  // dA += ds^T dropout(x)
  const std::int64_t projection = blockIdx.z % args.projections, row = blockIdx.z / args.projections * kRows;
  const AdapterBackwardProjection& p = args.projection[projection];
  const AdapterGroup& g = args.groups[blockIdx.x];
  if (!adapts(g, p.bit) || row >= g.rank) return;
  const std::int64_t column = static_cast<std::int64_t>(blockIdx.y) * kWide, tokens = g.end - g.begin;
  const Factor<float> ds{p.ds + g.begin * p.ds_row + row, 1, p.ds_row, g.rank - row, tokens};
  const DroppedInput<T> x{static_cast<const T*>(args.x), args.x_row, &g, p.key, g.begin, tokens, column,
                          args.inputs - column,          true};
  float sum[kWide / kThreadsPerRow];
  tile_product<kWide>(ds, x, tokens, sum);
  for_each_element<kWide>(sum, g.rank - row, args.inputs - column, [&](std::int64_t r, std::int64_t c, float value) {
    p.da[g.slot * p.da_slot + (row + r) * p.da_row + column + c] += value;
  });
}

template <typename T>
__global__ void b_gradient_kernel(AdapterBackward args) {  // dB += scale dy^T s
  const std::int64_t projection = blockIdx.z % args.projections, column = blockIdx.z / args.projections * kNarrow;
  const AdapterBackwardProjection& p = args.projection[projection];
  const AdapterGroup& g = args.groups[blockIdx.x];
  const std::int64_t row = static_cast<std::int64_t>(blockIdx.y) * kRows, tokens = g.end - g.begin;
  if (!adapts(g, p.bit) || column >= g.rank || row >= p.outputs) return;
  const Factor<T> dy{static_cast<const T*>(p.dy) + g.begin * p.dy_row + row, 1, p.dy_row, p.outputs - row, tokens};
  const Factor<float> s{p.s + g.begin * p.s_row + column, 1, p.s_row, g.rank - column, tokens};
  float sum[kNarrow / kThreadsPerRow];
  tile_product<kNarrow>(dy, s, tokens, sum);
  for_each_element<kNarrow>(sum, p.outputs - row, g.rank - column, [&](std::int64_t r, std::int64_t c, float value) {
    p.db[g.slot * p.db_slot + (row + r) * p.db_row + column + c] += value * scale_of(g, p.weights);
  });
}

template <typename Args>
std::int64_t largest_outputs(const Args& args) {
  std::int64_t largest = 0;
  for (std::int64_t i = 0; i < args.projections; ++i) {
    largest = args.projection[i].outputs > largest ? args.projection[i].outputs : largest;
  }
  return largest;
}

}  // namespace

Status adapter_forward(const AdapterForward& args, Stream stream) {
  return with_type(args.type, [&]<typename T>(T) {
    const unsigned tiles = blocks(args.tiles, 1), projections = blocks(args.projections, 1);
    const dim3 down(tiles, blocks(args.largest_rank, kNarrow), projections);
    const dim3 up(tiles, blocks(largest_outputs(args), kWide), projections);
    const Status first = launch(project_down_kernel<T>, down, kThreads, stream, args);
    return first.ok() ? launch(project_up_kernel<T>, up, kThreads, stream, args) : first;
  });
}

Status adapter_backward(const AdapterBackward& args, Stream stream) {
  return with_type(args.type, [&]<typename T>(T) {
    const unsigned tiles = blocks(args.tiles, 1), projections = blocks(args.projections, 1);
    const unsigned groups = blocks(args.group_count, 1), wide = blocks(args.inputs, kWide);
    const dim3 down(tiles, blocks(args.largest_rank, kNarrow), projections);
    const dim3 a(groups, wide, projections * blocks(args.largest_rank, kRows));
    const dim3 b(groups, blocks(largest_outputs(args), kRows), projections * blocks(args.largest_rank, kNarrow));
    Status status = launch(down_gradient_kernel<T>, down, kThreads, stream, args);
    if (status.ok()) status = launch(b_gradient_kernel<T>, b, kThreads, stream, args);
    if (status.ok()) status = launch(a_gradient_kernel<T>, a, kThreads, stream, args);
    if (!status.ok() || args.dx == nullptr) return status;
    return launch(input_gradient_kernel<T>, dim3(tiles, wide), kThreads, stream, args);
  });
}

}  // namespace finetune::kernels::cuda
