// In bf16: ds and dx of adapters; the gradients of A and B in adapter_tensor_weights.cu.
#include "kernels/cuda/adapter_operands.cuh"
#include "kernels/cuda/adapter_tensor.cuh"

namespace finetune::kernels::cuda {
namespace {

__global__ void down_gradient_kernel(AdapterBackward args) {  // ds = scale dy B
  __shared__ TileMemory memory;
  const AdapterBackwardProjection& p = args.projection[blockIdx.z];
  const TokenTile tile = tile_at(args.groups, args.group_count, blockIdx.x);
  const AdapterGroup& g = *tile.group;
  const int first = static_cast<int>(blockIdx.y) * kSide, columns = g.rank - first < kSide ? g.rank - first : kSide;
  if (tile.rows <= 0 || !adapts(g, p.bit) || columns <= 0) return;
  const Matrix16 dy{static_cast<const Bf16*>(p.dy) + tile.begin * p.dy_row, p.dy_row, tile.rows, p.outputs};
  Sums sums;
  product<Order::rows, Order::rows>(
      memory, p.outputs, columns, [&](std::int64_t k, int, Bf16Tile& to) { load_tile(dy, 0, k, to); },
      [&](std::int64_t k, int deep, Bf16Tile& to) {
        load_rounded(rows_of_b(p, g, k, first), deep, up_to_16(columns), to);
      },
      sums);
  keep_sums(sums, columns, Order::rows, memory);
  const float scale = scale_of(g, p.weights);
  for_each_sum(memory, tile.rows, columns,
               [&](int i, int j, float sum) { p.ds[(tile.begin + i) * p.ds_row + first + j] = sum * scale; });
}

// A tile of dx += sum over projections of dropout(ds A), of those that the trial adapts.
__device__ void input_gradient(const AdapterBackward& args, const TokenTile& tile, const Stack& all,
                               const WideTile& wide, TileMemory& memory) {
  const AdapterGroup& g = *tile.group;
  constexpr int kMine = kSide * kSide / 8 / kTensorThreads;  // eights of a thread
  float total[kMine][8] = {};
  const int passes = g.dropout > 0 ? all.count : 1;  // one by one where each has a mask of its own
  for (int i = 0; i < passes; ++i) {
    const Stack stack = g.dropout > 0 ? all.only(i) : all;
    Sums sums;
    product<Order::rows, Order::rows>(
        memory, stack.columns(), wide.rounded,
        [&](std::int64_t k, int deep, Bf16Tile& to) {
          if (wide.again && passes == 1 && stack.columns() <= kKept) return;
          load_rounded(StackedDs{&args, &stack, tile.begin, tile.rows, static_cast<int>(k)}, kSide, deep, to);
        },
        [&](std::int64_t k, int deep, Bf16Tile& to) {
          const StackedA<AdapterBackward> a{&args, &stack, g.slot, wide.first, static_cast<int>(k)};
          load_rounded(a, deep, wide.rounded, to);
        },
        sums);
    keep_sums(sums, wide.rounded, Order::rows, memory);
#pragma unroll  // `total` stays in registers
    for (int q = 0; q < kMine; ++q) {
      const int e = static_cast<int>(threadIdx.x) + q * kTensorThreads, row = e / 8, j = e % 8 * 8;
      if (row >= tile.rows || j >= wide.columns) continue;
      const unsigned dropped = g.dropout > 0 ? dropped_of_eight(g, args.projection[stack.projection(0)].key,
                                                                tile.begin - g.begin + row, wide.first + j)
                                             : 0;
      for (int k = 0; k < 8; ++k) {
        if ((dropped >> k & 1) == 0) total[q][k] += memory.sums[row][j + k] * kept(g);
      }
    }
    if (i + 1 < passes) __syncthreads();  // before the next projection's factors
  }
#pragma unroll
  for (int q = 0; q < kMine; ++q) {
    const int e = static_cast<int>(threadIdx.x) + q * kTensorThreads, row = e / 8, j = e % 8 * 8;
    if (row >= tile.rows || j >= wide.columns) continue;
    Bf16* to = static_cast<Bf16*>(args.dx) + (tile.begin + row) * args.dx_row + wide.first + j;
    add_eight(to, total[q], wide.columns - j);
  }
}

__global__ void input_gradient_kernel(AdapterBackward args) {
  __shared__ TileMemory memory;
  const TokenTile tile = tile_at(args.groups, args.group_count, blockIdx.x);
  const Stack all = stack_of(args, *tile.group);
  if (tile.rows <= 0 || all.count == 0) return;
  for_each_wide_tile(args.inputs, [&](const WideTile& wide) { input_gradient(args, tile, all, wide, memory); });
}

}  // namespace

Status adapter_backward_bf16(const AdapterBackward& args, Stream stream) {
  const unsigned tiles = blocks(args.tiles, 1), projections = blocks(args.projections, 1);
  const dim3 down(tiles, blocks(args.largest_rank, kSide), projections);
  Status status = launch(down_gradient_kernel, down, kTensorThreads, stream, args);
  if (status.ok()) status = adapter_weight_gradients_bf16(args, stream);
  if (!status.ok() || args.dx == nullptr) return status;
  return launch(input_gradient_kernel, dim3(tiles, wide_blocks(args.inputs)), kTensorThreads, stream, args);
}

}  // namespace finetune::kernels::cuda
