// In bf16: gradients of A and B, over chunks of a group's tokens.
#include "kernels/cuda/adapter_operands.cuh"
#include "kernels/cuda/adapter_tensor.cuh"

namespace finetune::kernels::cuda {
namespace {

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

Status adapter_weight_gradients_bf16(const AdapterBackward& args, Stream stream) {
  const unsigned projections = blocks(args.projections, 1), of_a = blocks(parts(args), 1);
  const unsigned of_b = projections * blocks(args.largest_rank, kSide);
  const std::int64_t outputs = largest_outputs(args), widest = outputs > args.inputs ? outputs : args.inputs;
  const dim3 grid(blocks(chunk_blocks(args), 1), blocks(widest, kSide), of_a + of_b);
  const Status status = launch(weight_gradients_kernel, grid, kTensorThreads, stream, args, static_cast<int>(of_a));
  if (!status.ok() || gradient_part_rows(args.tiles) == 0) return status;
  const dim3 sums(kAddBlocks, blocks(args.group_count, 1), 2 * projections);
  return launch(add_chunks_kernel, sums, kThreads, stream, args);
}

}  // namespace finetune::kernels::cuda
