// A stage is a grid of tiles: 64 tokens (or a chunk of tokens) x 64 columns x projection. x is read once for all
// projections that share it, dy once for each of ds and dB; limit: bytes of x, y and their gradients.
// A and B are rounded while a tile of them is loaded, without copies in bf16 that every writer of parameters would have
// to keep up: it costs reads of the second-level cache, some 7.5 bytes a token and rank against 20 of the rest (the
// numbers in tests/bench/results/gpu_napkin.md).
#include "kernels/cuda/adapter_groups.cuh"
#include "kernels/cuda/adapter_tensor.cuh"
#include "kernels/cuda/dropout.cuh"
#include "kernels/cuda/tensor_tile.cuh"

namespace finetune::kernels::cuda {
namespace {

// Tokens of a group from `begin`, with what dropout leaves of them: the factor of what is kept is the caller's.
struct Input {
  Matrix16 x;
  const AdapterGroup* group;
  std::int64_t key, begin;
};
template <typename Args>
__device__ Input input_of(const Args& args, const StackPart& part, const AdapterGroup& group, std::int64_t begin,
                          std::int64_t rows) {
  const Bf16* x = static_cast<const Bf16*>(args.x) + begin * args.x_row;
  return {{x, args.x_row, rows, args.inputs}, &group, args.projection[part.stack.projection(0)].key, begin};
}
__device__ void load_input(const Input& input, std::int64_t row, std::int64_t column, Bf16Tile& to) {
  if (input.group->dropout <= 0) return load_tile(input.x, row, column, to);
  for (int e = static_cast<int>(threadIdx.x); e < kSide * kSide / 8; e += kTensorThreads) {
    const int i = e / 8, j = e % 8 * 8;
    Packet<Bf16, 8> packet = load_many(input.x.from(row + i, column + j), input.x.left(row + i, column + j));
    const unsigned dropped =
        dropped_of_eight(*input.group, input.key, input.begin - input.group->begin + row + i, column + j);
    for (int k = 0; k < 8; ++k) {
      if ((dropped >> k & 1) != 0) store(&packet.at[k], 0.0f);
    }
    store_packet(&to.at[i][j], packet);
  }
}
__device__ float kept(const AdapterGroup& group) {
  return group.dropout > 0 ? kept_factor(group) : 1.0f;
}

// Rows of A, stacked from column `first` on.
template <typename Args>
struct StackedA {
  const Args* args;
  const Stack* stack;
  std::int64_t slot, input;
  int first;
  __device__ Quad operator()(int i, int j) const {
    const int column = first + i;
    if (column >= stack->columns()) return {nullptr, 0};
    const auto [projection, row] = stack->place(column);
    const AdapterWeights& w = args->projection[projection].weights;
    return {w.a + slot * w.a_slot + row * w.a_row + input + j, row < stack->rank ? args->inputs - input - j : 0};
  }
};

// Rows of a matrix in fp32 from (row, column) on; zero outside of rows x columns.
struct Rows32 {
  const float* data;
  std::int64_t stride, rows, columns;
  __device__ Quad operator()(int i, int j) const { return {data + i * stride + j, i < rows ? columns - j : 0}; }
};
template <typename Projection>
__device__ Rows32 rows_of_b(const Projection& p, const AdapterGroup& group, std::int64_t output, std::int64_t column) {
  const AdapterWeights& w = p.weights;
  return {w.b + group.slot * w.b_slot + output * w.b_row + column, w.b_row, p.outputs - output, group.rank - column};
}

// ds of tokens from `token`, `rows` of them, columns of a stack from `first`.
struct StackedDs {
  const AdapterBackward* args;
  const Stack* stack;
  std::int64_t token, rows;
  int first;
  __device__ Quad operator()(int i, int j) const {
    const int column = first + j;
    if (i >= rows || column >= stack->columns()) return {nullptr, 0};
    const auto [projection, row] = stack->place(column);
    const AdapterBackwardProjection& p = args->projection[projection];
    return {p.ds + (token + i) * p.ds_row + row, stack->rank - row};
  }
};

/// Calls use(i, j, sum) for the sums of rows x columns, neighbours in a row for neighbouring threads.
template <typename Use>
__device__ void for_each_sum(const TileMemory& memory, std::int64_t rows, std::int64_t columns, const Use& use) {
  for (int e = static_cast<int>(threadIdx.x); e < kSide * kSide; e += kTensorThreads) {
    const int i = e / kSide, j = e % kSide;
    if (i < rows && j < columns) use(i, j, memory.sums[i][j]);
  }
}

/// *to += the values, each rounded as a tensor in bf16 would be; those from `count` on are none.
__device__ void add_eight(Bf16* to, const float (&values)[8], std::int64_t count) {
  Packet<Bf16, 8> sums = load_many(to, count);
  for (int k = 0; k < 8; ++k) store(&sums.at[k], to_float(sums.at[k]) + rounded<Bf16>(values[k]));
  store_many(to, sums, count);
}

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
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.y) * kSide, columns = p.outputs - first;
  if (tile.rows <= 0 || !adapts(g, p.bit) || columns <= 0) return;
  const int wide = columns < kSide ? up_to_16(static_cast<int>(columns)) : kSide;
  Sums sums;
  product<Order::rows, Order::columns>(
      memory, g.rank, wide,
      [&](std::int64_t k, int deep, Bf16Tile& to) {
        load_rounded(Rows32{p.s + tile.begin * p.s_row + k, p.s_row, tile.rows, g.rank - k}, kSide, deep, to);
      },
      [&](std::int64_t k, int deep, Bf16Tile& to) { load_rounded(rows_of_b(p, g, first, k), wide, deep, to); }, sums);
  keep_sums(sums, wide, Order::rows, memory);
  const float scale = scale_of(g, p.weights);
  for (int e = static_cast<int>(threadIdx.x); e < kSide * kSide / 8; e += kTensorThreads) {
    const int i = e / 8, j = e % 8 * 8;
    if (i >= tile.rows || j >= columns) continue;
    float values[8];
    for (int k = 0; k < 8; ++k) values[k] = memory.sums[i][j + k] * scale;
    add_eight(static_cast<Bf16*>(p.y) + (tile.begin + i) * p.y_row + first + j, values, columns - j);
  }
}

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

__global__ void input_gradient_kernel(AdapterBackward args) {  // dx += sum over projections of dropout(ds A)
  __shared__ TileMemory memory;
  const TokenTile tile = tile_at(args.groups, args.group_count, blockIdx.x);
  const AdapterGroup& g = *tile.group;
  const Stack all = stack_of(args, g);
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.y) * kSide, columns = args.inputs - first;
  if (tile.rows <= 0 || all.count == 0) return;
  const int wide = columns < kSide ? up_to_16(static_cast<int>(columns)) : kSide;
  constexpr int kMine = kSide * kSide / 8 / kTensorThreads;  // eights of a thread
  float total[kMine][8] = {};
  for (int i = 0; i < (g.dropout > 0 ? all.count : 1); ++i) {  // one by one where each has a mask of its own
    const Stack stack = g.dropout > 0 ? all.only(i) : all;
    Sums sums;
    product<Order::rows, Order::rows>(
        memory, stack.columns(), wide,
        [&](std::int64_t k, int deep, Bf16Tile& to) {
          load_rounded(StackedDs{&args, &stack, tile.begin, tile.rows, static_cast<int>(k)}, kSide, deep, to);
        },
        [&](std::int64_t k, int deep, Bf16Tile& to) {
          const StackedA<AdapterBackward> a{&args, &stack, g.slot, first, static_cast<int>(k)};
          load_rounded(a, deep, wide, to);
        },
        sums);
    keep_sums(sums, wide, Order::rows, memory);
#pragma unroll  // `total` stays in registers
    for (int q = 0; q < kMine; ++q) {
      const int e = static_cast<int>(threadIdx.x) + q * kTensorThreads, row = e / 8, j = e % 8 * 8;
      if (row >= tile.rows || j >= columns) continue;
      const unsigned dropped = g.dropout > 0 ? dropped_of_eight(g, args.projection[stack.projection(0)].key,
                                                                tile.begin - g.begin + row, first + j)
                                             : 0;
      for (int k = 0; k < 8; ++k) {
        if ((dropped >> k & 1) == 0) total[q][k] += memory.sums[row][j + k] * kept(g);
      }
    }
    __syncthreads();  // before the next projection's factors
  }
#pragma unroll
  for (int q = 0; q < kMine; ++q) {
    const int e = static_cast<int>(threadIdx.x) + q * kTensorThreads, row = e / 8, j = e % 8 * 8;
    if (row >= tile.rows || j >= columns) continue;
    add_eight(static_cast<Bf16*>(args.dx) + (tile.begin + row) * args.dx_row + first + j, total[q], columns - j);
  }
}

// Tokens of a group that a gradient is summed over at once, counted from the group's begin. None (`tokens` below 1)
// where a group has fewer chunks than it was given blocks.
struct Chunk {
  const AdapterGroup* group;
  std::int64_t begin, tokens;
  bool only;              ///< the group's: its sums go where they belong
  std::int64_t part_row;  ///< else here, in rows of da_parts and db_parts
};

__device__ std::int64_t part_row(const AdapterGroup& group) {
  return group.first_tile / 8 * 16;
}
__device__ std::int64_t chunk_tiles(const AdapterGroup& group) {
  return up_to_16(group.rank) / 16 * kChunkTiles;
}

// A group has at least as many blocks as chunks of 1,024 tokens: a / 16 rounded up is no more than the whole sixteens
// between first_tile and first_tile + a tiles, and one.
__device__ Chunk chunk_at(const AdapterGroup* groups, std::int64_t count, std::int64_t block) {
  const auto first = [](const AdapterGroup& group, std::int64_t i) { return group.first_tile / kChunkTiles + i; };
  const std::int64_t i = group_at(groups, count, block, first);
  const AdapterGroup& g = groups[i];
  const std::int64_t tokens = chunk_tiles(g) * kTileRows, index = block - first(g, i), begin = g.begin + index * tokens;
  const std::int64_t left = g.end - begin;
  return {&g, begin, left < tokens ? left : tokens, g.end - g.begin <= tokens, part_row(g) + index * up_to_16(g.rank)};
}
std::int64_t chunk_blocks(const AdapterBackward& args) {
  return args.tiles / kChunkTiles + args.group_count;
}

__device__ void a_gradient(const AdapterBackward& args, const Chunk& chunk, int index, TileMemory& memory) {
  const AdapterGroup& g = *chunk.group;
  const StackPart part = part_of(stack_of(args, g), g.dropout > 0, index);
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.y) * kSide, inputs = args.inputs;
  if (part.columns <= 0 || first >= inputs) return;
  const Input input = input_of(args, part, g, chunk.begin, chunk.tokens);
  Sums sums;
  product<Order::columns, Order::rows>(
      memory, chunk.tokens, part.columns, [&](std::int64_t k, int, Bf16Tile& to) { load_input(input, k, first, to); },
      [&](std::int64_t k, int deep, Bf16Tile& to) {
        load_rounded(StackedDs{&args, &part.stack, chunk.begin + k, chunk.tokens - k, part.first}, deep, part.columns,
                     to);
      },
      sums);
  keep_sums(sums, part.columns, Order::columns, memory);
  for_each_sum(memory, part.columns, inputs - first, [&](int i, int j, float sum) {
    const auto [projection, row] = part.stack.place(part.first + i);
    if (row >= g.rank) return;
    const AdapterBackwardProjection& p = args.projection[projection];
    if (chunk.only)
      p.da[g.slot * p.da_slot + row * p.da_row + first + j] += sum * kept(g);
    else
      p.da_parts[(chunk.part_row + row) * inputs + first + j] = sum * kept(g);
  });
}

__device__ void b_gradient(const AdapterBackward& args, const Chunk& chunk, std::int64_t index, TileMemory& memory) {
  const AdapterGroup& g = *chunk.group;
  const AdapterBackwardProjection& p = args.projection[index % args.projections];
  const int from = static_cast<int>(index / args.projections) * kSide;
  const int columns = g.rank - from < kSide ? g.rank - from : kSide;
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.y) * kSide;
  if (!adapts(g, p.bit) || columns <= 0 || first >= p.outputs) return;
  const Matrix16 dy{static_cast<const Bf16*>(p.dy) + chunk.begin * p.dy_row, p.dy_row, chunk.tokens, p.outputs};
  Sums sums;
  product<Order::columns, Order::rows>(
      memory, chunk.tokens, columns, [&](std::int64_t k, int, Bf16Tile& to) { load_tile(dy, k, first, to); },
      [&](std::int64_t k, int deep, Bf16Tile& to) {
        const Rows32 s{p.s + (chunk.begin + k) * p.s_row + from, p.s_row, chunk.tokens - k, g.rank - from};
        load_rounded(s, deep, up_to_16(columns), to);
      },
      sums);
  keep_sums(sums, columns, Order::rows, memory);
  const float scale = scale_of(g, p.weights);
  for_each_sum(memory, p.outputs - first, columns, [&](int i, int j, float sum) {
    if (chunk.only)
      p.db[g.slot * p.db_slot + (first + i) * p.db_row + from + j] += sum * scale;
    else
      p.db_parts[chunk.part_row * p.outputs + (first + i) * up_to_16(g.rank) + from + j] = sum * scale;
  });
}

// dA += ds^T dropout(x), of all projections at once; dB += scale dy^T s.
__global__ void weight_gradients_kernel(AdapterBackward args, int a_parts) {
  __shared__ TileMemory memory;
  const Chunk chunk = chunk_at(args.groups, args.group_count, blockIdx.x);
  if (chunk.tokens <= 0) return;
  const int part = static_cast<int>(blockIdx.z);
  if (part < a_parts)
    a_gradient(args, chunk, part, memory);
  else
    b_gradient(args, chunk, part - a_parts, memory);
}

constexpr int kAddBlocks = 64;  // for a gradient of a trial

// Adds up the chunks of groups that have several, in their order: block z has dA of a projection, or dB of one.
__global__ void add_chunks_kernel(AdapterBackward args) {
  const AdapterGroup& g = args.groups[blockIdx.y];
  const AdapterBackwardProjection& p = args.projection[blockIdx.z % args.projections];
  const std::int64_t tokens = chunk_tiles(g) * kTileRows, chunks = (g.end - g.begin + tokens - 1) / tokens;
  if (chunks < 2 || !adapts(g, p.bit)) return;
  const bool of_a = blockIdx.z < args.projections;
  const std::int64_t padded = up_to_16(g.rank), width = of_a ? args.inputs : p.outputs;
  const std::int64_t columns = of_a ? args.inputs : g.rank, rows = of_a ? g.rank : p.outputs;
  const std::int64_t stride = of_a ? args.inputs : padded;
  const float* parts = (of_a ? p.da_parts : p.db_parts) + part_row(g) * width;
  float* to = of_a ? p.da + g.slot * p.da_slot : p.db + g.slot * p.db_slot;
  for (std::int64_t e = blockIdx.x * kThreads + threadIdx.x; e < rows * columns; e += kAddBlocks * kThreads) {
    const std::int64_t row = e / columns, column = e % columns;
    float& at = to[row * (of_a ? p.da_row : p.db_row) + column];
    float sum = at;
    for (std::int64_t c = 0; c < chunks; ++c) sum += parts[c * padded * width + row * stride + column];
    at = sum;
  }
}

}  // namespace

Status adapter_forward_bf16(const AdapterForward& args, Stream stream) {
  const unsigned tiles = blocks(args.tiles, 1), projections = blocks(args.projections, 1);
  const dim3 down(tiles, blocks(parts(args), 1)), up(tiles, blocks(largest_outputs(args), kSide), projections);
  const Status first = launch(project_down_kernel, down, kTensorThreads, stream, args);
  return first.ok() ? launch(project_up_kernel, up, kTensorThreads, stream, args) : first;
}

Status adapter_backward_bf16(const AdapterBackward& args, Stream stream) {
  const unsigned tiles = blocks(args.tiles, 1), projections = blocks(args.projections, 1);
  const unsigned ranks = blocks(args.largest_rank, kSide), of_a = blocks(parts(args), 1);
  const std::int64_t outputs = largest_outputs(args), widest = outputs > args.inputs ? outputs : args.inputs;
  const dim3 weights(blocks(chunk_blocks(args), 1), blocks(widest, kSide), of_a + projections * ranks);
  Status status = launch(down_gradient_kernel, dim3(tiles, ranks, projections), kTensorThreads, stream, args);
  if (status.ok()) {
    status = launch(weight_gradients_kernel, weights, kTensorThreads, stream, args, static_cast<int>(of_a));
  }
  if (status.ok() && gradient_part_rows(args.tiles) > 0) {
    const dim3 sums(kAddBlocks, blocks(args.group_count, 1), 2 * projections);
    status = launch(add_chunks_kernel, sums, kThreads, stream, args);
  }
  if (!status.ok() || args.dx == nullptr) return status;
  return launch(input_gradient_kernel, dim3(tiles, blocks(args.inputs, kSide)), kTensorThreads, stream, args);
}

}  // namespace finetune::kernels::cuda
