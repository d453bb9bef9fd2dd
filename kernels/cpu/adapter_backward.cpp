// Gradients of adapters and of their input: an item is a block of a group's rows, or a block of rows or columns of a
// group's gradient.
#include <memory>
#include <vector>

#include "kernels/cpu/adapter_rows.h"
#include "kernels/cpu/table.h"

namespace finetune::kernels::cpu {
namespace {

// dx += ds a of a block, through the mask where there is dropout.
void add_input_gradient(const AdapterBackward& args, const AdapterBackwardProjection& p, const AdapterGroup& g,
                        const Block& block, const float* ds, std::vector<float>& buffer) {
  const std::int64_t count = block.end - block.begin, width = args.inputs;
  float* dx = static_cast<float*>(args.dx) + block.begin * args.dx_row;
  Product product{.x = ds,
                  .x_row = p.ds_row,
                  .x_k = 1,
                  .b = p.weights.a + g.slot * p.weights.a_slot,
                  .b_row = p.weights.a_row,
                  .c = dx,
                  .c_row = args.dx_row,
                  .rows = count,
                  .n = width,
                  .depth = g.rank,
                  .add = true};
  if (g.dropout <= 0) return table().product(product);
  buffer.assign(static_cast<std::size_t>(2 * width * count), 0.0f);
  float* factors = buffer.data() + width * count;
  product.c = buffer.data();
  product.c_row = width;
  table().product(product);
  for (std::int64_t r = 0; r < count; ++r) {
    dropout_row(g, p.key, block.begin - g.begin + r, factors, width);
    for (std::int64_t c = 0; c < width; ++c)
      dx[r * args.dx_row + c] += buffer[static_cast<std::size_t>(r * width + c)] * factors[c];
  }
}

// ds = scale dy b, and what of dx comes from it.
void input_gradients(const AdapterBackward& args, const AdapterBackwardProjection& p, const Groups& groups,
                     Stream stream) {
  const std::vector<Block> blocks = row_blocks(groups);
  in_parallel(stream, static_cast<std::int64_t>(blocks.size()), kRowBlock * 16 * (args.inputs + p.outputs),
              [&](std::int64_t first, std::int64_t last) {
                std::vector<float> buffer;
                for (std::int64_t i = first; i < last; ++i) {
                  const Block& block = blocks[static_cast<std::size_t>(i)];
                  const AdapterGroup& g = *groups[block.group];
                  float* ds = p.ds + block.begin * p.ds_row;
                  table().product({.x = static_cast<const float*>(p.dy) + block.begin * p.dy_row,
                                   .x_row = p.dy_row,
                                   .x_k = 1,
                                   .b = p.weights.b + g.slot * p.weights.b_slot,
                                   .b_row = p.weights.b_row,
                                   .c = ds,
                                   .c_row = p.ds_row,
                                   .rows = block.end - block.begin,
                                   .n = g.rank,
                                   .depth = p.outputs,
                                   .alpha = scale_of(g, p.weights)});
                  if (args.dx != nullptr) add_input_gradient(args, p, g, block, ds, buffer);
                }
              });
}

// dropout(x) of every group that has dropout; else x itself.
class DroppedInputs {
 public:
  DroppedInputs(const AdapterBackward& args, std::int64_t key, const Groups& groups, Stream stream) {
    const Rows x{static_cast<const float*>(args.x), args.x_row};
    for (const AdapterGroup* g : groups) {
      if (g->dropout <= 0) {
        rows_.push_back({x.data + g->begin * x.row, x.row});
        continue;
      }
      const std::int64_t tokens = g->end - g->begin;
      float* to =
          buffers_.emplace_back(std::make_unique_for_overwrite<float[]>(static_cast<std::size_t>(tokens * args.inputs)))
              .get();
      in_row_blocks(stream, tokens, 20 * args.inputs, [&](std::int64_t begin, std::int64_t end) {
        write_dropped(x, args.inputs, *g, key, g->begin + begin, g->begin + end, to + begin * args.inputs);
      });
      rows_.push_back({to, args.inputs});
    }
  }
  Rows operator[](std::size_t group) const { return rows_[group]; }

 private:
  std::vector<std::unique_ptr<float[]>> buffers_;
  std::vector<Rows> rows_;
};

// Rows of outputs of a group's db, or columns of inputs of its da: each element is one sum over the group's tokens in
// order.
struct WeightPart {
  std::size_t group;
  bool is_a;
  std::int64_t begin, end;
};
std::vector<WeightPart> weight_parts(std::size_t groups, std::int64_t outputs, std::int64_t inputs) {
  std::vector<WeightPart> parts;
  for (std::size_t i = 0; i < groups; ++i) {
    for (std::int64_t o = 0; o < outputs; o += kRowBlock)
      parts.push_back({i, false, o, std::min(outputs, o + kRowBlock)});
    for (std::int64_t d = 0; d < inputs; d += kRowBlock) parts.push_back({i, true, d, std::min(inputs, d + kRowBlock)});
  }
  return parts;
}

Product weight_product(const AdapterBackwardProjection& p, const AdapterGroup& g, const WeightPart& part, Rows x) {
  if (part.is_a) {
    return {.x = p.ds + g.begin * p.ds_row,
            .x_row = 1,
            .x_k = p.ds_row,
            .b = x.data + part.begin,
            .b_row = x.row,
            .c = p.da + g.slot * p.da_slot + part.begin,
            .c_row = p.da_row,
            .rows = g.rank,
            .n = part.end - part.begin,
            .depth = g.end - g.begin,
            .add = true};
  }
  return {.x = static_cast<const float*>(p.dy) + g.begin * p.dy_row + part.begin,
          .x_row = 1,
          .x_k = p.dy_row,
          .b = p.s + g.begin * p.s_row,
          .b_row = p.s_row,
          .c = p.db + g.slot * p.db_slot + part.begin * p.db_row,
          .c_row = p.db_row,
          .rows = part.end - part.begin,
          .n = g.rank,
          .depth = g.end - g.begin,
          .alpha = scale_of(g, p.weights),
          .add = true};
}

void weight_gradients(const AdapterBackward& args, const AdapterBackwardProjection& p, const Groups& groups,
                      Stream stream) {
  if (groups.empty()) return;
  const DroppedInputs x(args, p.key, groups, stream);
  const auto parts = weight_parts(groups.size(), p.outputs, args.inputs);
  std::int64_t tokens = 0;
  for (const AdapterGroup* g : groups) tokens += g->end - g->begin;
  const std::int64_t tokens_each = tokens / static_cast<std::int64_t>(groups.size());
  in_parallel(stream, static_cast<std::int64_t>(parts.size()), kRowBlock * 16 * tokens_each,
              [&](std::int64_t first, std::int64_t last) {
                for (std::int64_t i = first; i < last; ++i) {
                  const WeightPart& part = parts[static_cast<std::size_t>(i)];
                  table().product(weight_product(p, *groups[part.group], part, x[part.group]));
                }
              });
}

}  // namespace

Status adapter_backward(const AdapterBackward& args, Stream stream) {
  if (args.type != Type::f32) return kFloat32Only;
  for (std::int64_t i = 0; i < args.projections; ++i) {
    const AdapterBackwardProjection& p = args.projection[i];
    const Groups groups = adapting(args.groups, args.group_count, p.bit);
    input_gradients(args, p, groups, stream);
    weight_gradients(args, p, groups, stream);
  }
  return {};
}

}  // namespace finetune::kernels::cpu
