// y += scale dropout(x) A^T B^T of each group: an item is a block of a group's rows, for all its projections.
#include <vector>

#include "kernels/cpu/adapter_rows.h"
#include "kernels/cpu/table.h"

namespace finetune::kernels::cpu {
namespace {

using ForwardParts = std::vector<Adapted<AdapterForwardProjection>>;

// A and B of each part, transposed once per call into one buffer: A^T is [inputs, rank], B^T behind it [rank, outputs].
class Panels {
 public:
  Panels(const AdapterForward& args, const ForwardParts& parts, Stream stream) : inputs_(args.inputs) {
    std::int64_t size = 0;
    for (const auto& part : parts) {
      begins_.push_back(size);
      size += part.group->rank * (inputs_ + part.projection->outputs);
    }
    floats_ = floats(size);
    const auto count = static_cast<std::int64_t>(parts.size());
    in_parallel(stream, count, count > 0 ? size / count : 0, [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t i = first; i < last; ++i) fill(parts[static_cast<std::size_t>(i)], static_cast<std::size_t>(i));
    });
  }
  const float* a_DR(std::size_t part) const { return floats_.get() + begins_[part]; }
  const float* b_RO(std::size_t part, std::int64_t rank) const { return a_DR(part) + rank * inputs_; }

 private:
  void fill(const Adapted<AdapterForwardProjection>& part, std::size_t i) {
    const AdapterWeights& w = part.projection->weights;
    const std::int64_t rank = part.group->rank, slot = part.group->slot, outputs = part.projection->outputs;
    float* to = floats_.get() + begins_[i];
    table().transpose(
        {.from = w.a + slot * w.a_slot, .row = w.a_row, .to = to, .to_row = rank, .rows = rank, .columns = inputs_});
    table().transpose({.from = w.b + slot * w.b_slot,
                       .row = w.b_row,
                       .to = to + rank * inputs_,
                       .to_row = outputs,
                       .rows = outputs,
                       .columns = rank});
  }

  std::int64_t inputs_;
  std::vector<std::int64_t> begins_;
  std::unique_ptr<float[]> floats_;
};

// Rows of x from `block.begin` with dropout applied, in `buffer`, or x itself.
Rows dropped(Rows x, std::int64_t width, const AdapterGroup& g, const Block& block, std::int64_t key,
             std::unique_ptr<float[]>& buffer) {
  if (g.dropout <= 0) return {x.data + block.begin * x.row, x.row};
  if (!buffer) buffer = floats(kRowBlock * width);
  for (std::int64_t r = block.begin; r < block.end; ++r) {
    float* to = buffer.get() + (r - block.begin) * width;
    table().dropout_row(dropout_row_of(g, key, r - g.begin), to, width);
    for (std::int64_t c = 0; c < width; ++c) to[c] *= x.data[r * x.row + c];
  }
  return {buffer.get(), width};
}

void add_part(const AdapterForwardProjection& p, const AdapterGroup& g, const Block& block, Rows x, std::int64_t inputs,
              const float* a_DR, const float* b_RO) {
  float* s = p.s + block.begin * p.s_row;
  const std::int64_t rows = block.end - block.begin;
  table().product({.x = x.data,
                   .x_row = x.row,
                   .x_k = 1,
                   .b = a_DR,
                   .b_row = g.rank,
                   .c = s,
                   .c_row = p.s_row,
                   .rows = rows,
                   .n = g.rank,
                   .depth = inputs});
  table().product({.x = s,
                   .x_row = p.s_row,
                   .x_k = 1,
                   .b = b_RO,
                   .b_row = p.outputs,
                   .c = static_cast<float*>(p.y) + block.begin * p.y_row,
                   .c_row = p.y_row,
                   .rows = rows,
                   .n = p.outputs,
                   .depth = g.rank,
                   .alpha = scale_of(g, p.weights),
                   .into = Into::add});
}

}  // namespace

Status adapter_forward(const AdapterForward& args, Stream stream) {
  if (args.type != Type::f32) return kFloat32Only;
  const ForwardParts parts = adapted(args);
  const Panels panels(args, parts, stream);
  const Rows x{static_cast<const float*>(args.x), args.x_row};
  const std::vector<Block> blocks = row_blocks(parts, 0, parts.size());
  in_parallel(stream, static_cast<std::int64_t>(blocks.size()), kRowBlock * operations_per_row(args),
              [&](std::int64_t first, std::int64_t last) {
                std::unique_ptr<float[]> buffer;
                for (std::int64_t i = first; i < last; ++i) {
                  const Block& block = blocks[static_cast<std::size_t>(i)];
                  for (std::size_t part = block.first; part < block.last; ++part) {
                    const auto& [group, p] = parts[part];
                    const Rows input = dropped(x, args.inputs, *group, block, p->key, buffer);
                    add_part(*p, *group, block, input, args.inputs, panels.a_DR(part), panels.b_RO(part, group->rank));
                  }
                }
              });
  return {};
}

}  // namespace finetune::kernels::cpu
