// In bf16: s and y of adapters. A stage is a grid of tiles: 64 tokens x 64 columns x projection. x is read once for all
// projections that share it; limit: bytes of x and y, and for large ranks of L2 (tests/bench/results/gpu_napkin.md).
// A and B are rounded while a tile of them is loaded, without copies in bf16 that every writer of parameters would have
// to keep up: they would save 23 of 240 KB that a token and layer of 0.5B reads through L2 at rank 16.
#include "kernels/cuda/adapter_operands.cuh"
#include "kernels/cuda/adapter_tensor.cuh"

namespace finetune::kernels::cuda {
namespace {

__global__ void project_down_kernel(AdapterForward args) {  // s = dropout(x) A^T, of all projections at once
  __shared__ TileMemory memory;
  const TokenTile tile = tile_at(args.groups, args.group_count, blockIdx.x);
  const AdapterGroup& g = *tile.group;
  const StackPart part = part_of(stack_of(args, g), g.dropout > 0, static_cast<int>(blockIdx.y));
  if (tile.rows <= 0 || part.columns <= 0) return;
  const Input input = input_of(args, part, g, tile.begin, tile.rows);
  Sums sums;
  product<Order::rows, Order::columns>(
      memory, args.inputs, part.columns, [&](std::int64_t k, int, Bf16Tile& to) { load_input(input, 0, k, to); },
      [&](std::int64_t k, int deep, Bf16Tile& to) {
        load_rounded(StackedA<AdapterForward>{&args, &part.stack, g.slot, k, part.first}, part.columns, deep, to);
      },
      sums);
  keep_sums(sums, part.columns, Order::rows, memory);
  for_each_sum(memory, tile.rows, part.columns, [&](int i, int j, float sum) {
    const auto [projection, row] = part.stack.place(part.first + j);
    const AdapterForwardProjection& p = args.projection[projection];
    if (row < g.rank) p.s[(tile.begin + i) * p.s_row + row] = sum * kept(g);
  });
}

__global__ void project_up_kernel(AdapterForward args) {  // y += scale s B^T
  __shared__ TileMemory memory;
  const AdapterForwardProjection& p = args.projection[blockIdx.z];
  const TokenTile tile = tile_at(args.groups, args.group_count, blockIdx.x);
  const AdapterGroup& g = *tile.group;
  if (tile.rows <= 0 || !adapts(g, p.bit)) return;
  const float scale = scale_of(g, p.weights);
  for_each_wide_tile(p.outputs, [&](const WideTile& wide) {
    Sums sums;
    product<Order::rows, Order::columns>(
        memory, g.rank, wide.rounded,
        [&](std::int64_t k, int deep, Bf16Tile& to) {
          if (wide.again && g.rank <= kKept) return;
          load_rounded(Rows32{p.s + tile.begin * p.s_row + k, p.s_row, tile.rows, g.rank - k}, kSide, deep, to);
        },
        [&](std::int64_t k, int deep, Bf16Tile& to) {
          load_rounded(rows_of_b(p, g, wide.first, k), wide.rounded, deep, to);
        },
        sums);
    keep_sums(sums, wide.rounded, Order::rows, memory);
    for (int e = static_cast<int>(threadIdx.x); e < kSide * kSide / 8; e += kTensorThreads) {
      const int i = e / 8, j = e % 8 * 8;
      if (i >= tile.rows || j >= wide.columns) continue;
      float values[8];
      for (int k = 0; k < 8; ++k) values[k] = memory.sums[i][j + k] * scale;
      add_eight(static_cast<Bf16*>(p.y) + (tile.begin + i) * p.y_row + wide.first + j, values, wide.columns - j);
    }
  });
}

}  // namespace

Status adapter_forward_bf16(const AdapterForward& args, Stream stream) {
  const unsigned tiles = blocks(args.tiles, 1), projections = blocks(args.projections, 1);
  const dim3 down(tiles, blocks(parts(args), 1)), up(tiles, wide_blocks(largest_outputs(args)), projections);
  const Status first = launch(project_down_kernel, down, kTensorThreads, stream, args);
  return first.ok() ? launch(project_up_kernel, up, kTensorThreads, stream, args) : first;
}

}  // namespace finetune::kernels::cuda
