// y += scale dropout(x) A^T B^T of each group: an item is a block of a group's rows.
#include <vector>

#include "kernels/cpu/adapter_rows.h"
#include "kernels/cpu/table.h"

namespace finetune::kernels::cpu {
namespace {

// Rows of x from `block.begin` with dropout applied, or x itself. `buffer` holds the result.
Rows dropped(Rows x, std::int64_t width, const AdapterGroup& g, const Block& block, std::int64_t key,
             std::vector<float>& buffer) {
  if (g.dropout <= 0) return {x.data + block.begin * x.row, x.row};
  buffer.resize(static_cast<std::size_t>((block.end - block.begin) * width));
  write_dropped(x, width, g, key, block.begin, block.end, buffer.data());
  return {buffer.data(), width};
}

// [rows, columns] -> [columns, rows].
std::vector<float> transposed(Rows from, std::int64_t rows, std::int64_t columns) {
  std::vector<float> to(static_cast<std::size_t>(rows * columns));
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t c = 0; c < columns; ++c) to[static_cast<std::size_t>(c * rows + r)] = from.data[r * from.row + c];
  }
  return to;
}

// A and B of each group, transposed once per call.
struct Transposed {
  std::vector<float> a_DR, b_RO;
};
std::vector<Transposed> transposed_weights(const Groups& groups, const AdapterForwardProjection& p, std::int64_t inputs,
                                           Stream stream) {
  std::vector<Transposed> all(groups.size());
  const AdapterWeights& w = p.weights;
  in_parallel(stream, static_cast<std::int64_t>(groups.size()), 4 * 16 * (inputs + p.outputs),
              [&](std::int64_t first, std::int64_t last) {
                for (std::int64_t i = first; i < last; ++i) {
                  const AdapterGroup& g = *groups[static_cast<std::size_t>(i)];
                  all[static_cast<std::size_t>(i)] = {
                      transposed({w.a + g.slot * w.a_slot, w.a_row}, g.rank, inputs),
                      transposed({w.b + g.slot * w.b_slot, w.b_row}, p.outputs, g.rank)};
                }
              });
  return all;
}

void forward(const AdapterForward& args, const AdapterForwardProjection& p, Stream stream) {
  const Groups groups = adapting(args.groups, args.group_count, p.bit);
  const auto weights = transposed_weights(groups, p, args.inputs, stream);
  const Rows x{static_cast<const float*>(args.x), args.x_row};
  const auto work = [&](const Block& block, std::vector<float>& buffer) {
    const AdapterGroup& g = *groups[block.group];
    const Rows input = dropped(x, args.inputs, g, block, p.key, buffer);
    float* s = p.s + block.begin * p.s_row;
    table().product({.x = input.data,
                     .x_row = input.row,
                     .x_k = 1,
                     .b = weights[block.group].a_DR.data(),
                     .b_row = g.rank,
                     .c = s,
                     .c_row = p.s_row,
                     .rows = block.end - block.begin,
                     .n = g.rank,
                     .depth = args.inputs});
    table().product({.x = s,
                     .x_row = p.s_row,
                     .x_k = 1,
                     .b = weights[block.group].b_RO.data(),
                     .b_row = p.outputs,
                     .c = static_cast<float*>(p.y) + block.begin * p.y_row,
                     .c_row = p.y_row,
                     .rows = block.end - block.begin,
                     .n = p.outputs,
                     .depth = g.rank,
                     .alpha = scale_of(g, p.weights),
                     .add = true});
  };
  const std::vector<Block> blocks = row_blocks(groups);
  in_parallel(stream, static_cast<std::int64_t>(blocks.size()), kRowBlock * 16 * (args.inputs + p.outputs),
              [&](std::int64_t first, std::int64_t last) {
                std::vector<float> buffer;
                for (std::int64_t i = first; i < last; ++i) work(blocks[static_cast<std::size_t>(i)], buffer);
              });
}

}  // namespace

Status adapter_forward(const AdapterForward& args, Stream stream) {
  if (args.type != Type::f32) return kFloat32Only;
  for (std::int64_t i = 0; i < args.projections; ++i) forward(args, args.projection[i], stream);
  return {};
}

}  // namespace finetune::kernels::cpu
