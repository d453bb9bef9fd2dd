// Gradients of adapters and of their input. First an item is a block of a group's rows, for all its projections; then a
// block of columns of a group's gradient. Groups are taken in waves, whose rows stay in a cache from the first to the
// second.
#include <vector>

#include "kernels/cpu/adapter_rows.h"
#include "kernels/cpu/table.h"

namespace finetune::kernels::cpu {
namespace {

using BackwardParts = std::vector<Adapted<AdapterBackwardProjection>>;

constexpr std::int64_t kWaveRows = 512;  // at least, where there are as many

// The groups of a call that are worked on at once.
struct Wave {
  const AdapterBackward& args;
  const BackwardParts& parts;
  std::size_t first, last;  // of the parts
  // Of all parts, one behind the other: ds, and of those with dropout the dropped x.
  std::unique_ptr<float[]> all_ds, dropped_x;
  std::vector<std::int64_t> ds_begins, x_begins;

  const AdapterGroup& group(std::size_t part) const { return *parts[part].group; }
  // Rows of ds from a row of the pack on.
  float* ds(std::size_t part, std::int64_t row) const {
    return all_ds.get() + ds_begins[part - first] + (row - group(part).begin) * group(part).rank;
  }
  float* dropped(std::size_t part) const { return dropped_x.get() + x_begins[part - first]; }
  // What A of a part was given, from its group's first row.
  Rows input(std::size_t part) const {
    if (group(part).dropout > 0) return {dropped(part), args.inputs};
    return {static_cast<const float*>(args.x) + group(part).begin * args.x_row, args.x_row};
  }
};

Wave wave_from(const AdapterBackward& args, const BackwardParts& parts, std::size_t first) {
  Wave wave{.args = args, .parts = parts, .first = first, .last = first};
  std::int64_t rows = 0, ds = 0, dropped = 0;
  while (wave.last < parts.size()) {
    const AdapterGroup* group = parts[wave.last].group;
    const bool begins = wave.last == first || parts[wave.last - 1].group != group;
    if (begins && rows >= kWaveRows) break;
    const std::int64_t count = group->end - group->begin;
    if (begins) rows += count;
    wave.ds_begins.push_back(ds);
    wave.x_begins.push_back(dropped);
    ds += count * group->rank;
    if (group->dropout > 0) dropped += count * args.inputs;
    ++wave.last;
  }
  wave.all_ds = floats(ds);
  wave.dropped_x = floats(dropped);
  return wave;
}

// dx += ds a of a block, through the mask where there is dropout; then also dropout(x), which the gradient of a needs.
void add_input_gradient(const Wave& wave, std::size_t part, const Block& block, const float* ds,
                        std::unique_ptr<float[]>& buffer) {
  const AdapterBackward& args = wave.args;
  const AdapterBackwardProjection& p = *wave.parts[part].projection;
  const AdapterGroup& g = wave.group(part);
  const std::int64_t count = block.end - block.begin, width = args.inputs;
  float* dx = args.dx != nullptr ? static_cast<float*>(args.dx) + block.begin * args.dx_row : nullptr;
  Product product{.x = ds,
                  .x_row = g.rank,
                  .x_k = 1,
                  .b = p.weights.a + g.slot * p.weights.a_slot,
                  .b_row = p.weights.a_row,
                  .c = dx,
                  .c_row = args.dx_row,
                  .rows = count,
                  .n = width,
                  .depth = g.rank,
                  .into = Into::add};
  if (g.dropout <= 0) {
    if (dx != nullptr) table().product(product);
    return;
  }
  if (dx != nullptr) {
    if (!buffer) buffer = floats(kRowBlock * width);
    product.c = buffer.get();
    product.c_row = width;
    product.into = Into::write;
    table().product(product);
  }
  for (std::int64_t r = 0; r < count; ++r) {
    const std::int64_t row = block.begin - g.begin + r;
    float* factors = wave.dropped(part) + row * width;
    table().dropout_row(dropout_row_of(g, p.key, row), factors, width);
    const float* x = static_cast<const float*>(args.x) + (block.begin + r) * args.x_row;
    for (std::int64_t c = 0; c < width; ++c) {
      if (dx != nullptr) dx[r * args.dx_row + c] += buffer[static_cast<std::size_t>(r * width + c)] * factors[c];
      factors[c] *= x[c];
    }
  }
}

// ds = scale dy b, and what of dx comes from it.
void input_gradients(const Wave& wave, Stream stream) {
  const std::vector<Block> blocks = row_blocks(wave.parts, wave.first, wave.last);
  in_parallel(stream, static_cast<std::int64_t>(blocks.size()), kRowBlock * operations_per_row(wave.args),
              [&](std::int64_t first, std::int64_t last) {
                std::unique_ptr<float[]> buffer;
                for (std::int64_t i = first; i < last; ++i) {
                  const Block& block = blocks[static_cast<std::size_t>(i)];
                  for (std::size_t part = block.first; part < block.last; ++part) {
                    const AdapterBackwardProjection& p = *wave.parts[part].projection;
                    const AdapterGroup& g = wave.group(part);
                    float* ds = wave.ds(part, block.begin);
                    table().product({.x = static_cast<const float*>(p.dy) + block.begin * p.dy_row,
                                     .x_row = p.dy_row,
                                     .x_k = 1,
                                     .b = p.weights.b + g.slot * p.weights.b_slot,
                                     .b_row = p.weights.b_row,
                                     .c = ds,
                                     .c_row = g.rank,
                                     .rows = block.end - block.begin,
                                     .n = g.rank,
                                     .depth = p.outputs,
                                     .alpha = scale_of(g, p.weights)});
                    add_input_gradient(wave, part, block, ds, buffer);
                  }
                }
              });
}

// Columns of a part's da, or of its db^T, which is turned when it is added: each element is one sum over the group's
// tokens in order.
constexpr std::int64_t kColumns = 64;
struct WeightPart {
  std::size_t part;
  bool is_a;
  std::int64_t begin, end;
};
std::vector<WeightPart> weight_parts(const Wave& wave) {
  std::vector<WeightPart> parts;
  const auto add = [&](std::size_t part, bool is_a, std::int64_t columns) {
    for (std::int64_t c = 0; c < columns; c += kColumns)
      parts.push_back({part, is_a, c, std::min(columns, c + kColumns)});
  };
  for (std::size_t part = wave.first; part < wave.last; ++part) {
    add(part, false, wave.parts[part].projection->outputs);
    add(part, true, wave.args.inputs);
  }
  return parts;
}

// to [rank, columns] += s^T of, whose rows begin with the group. A chunk of rows at a time, which all rows of the
// result read from a cache.
void add_over_rows(const float* s, std::int64_t s_row, Rows of, const AdapterGroup& g, std::int64_t columns, float* to,
                   std::int64_t to_row) {
  const std::int64_t tokens = g.end - g.begin;
  for (std::int64_t t = 0; t < tokens; t += kRowBlock) {
    table().product({.x = s + t * s_row,
                     .x_row = 1,
                     .x_k = s_row,
                     .b = of.data + t * of.row,
                     .b_row = of.row,
                     .c = to,
                     .c_row = to_row,
                     .rows = g.rank,
                     .n = columns,
                     .depth = std::min(tokens - t, kRowBlock),
                     .into = Into::extend});
  }
}

void add_weight_gradient(const Wave& wave, const WeightPart& some, float* buffer) {
  const AdapterBackwardProjection& p = *wave.parts[some.part].projection;
  const AdapterGroup& g = wave.group(some.part);
  const std::int64_t columns = some.end - some.begin;
  if (some.is_a) {
    const Rows x = wave.input(some.part);
    add_over_rows(wave.ds(some.part, g.begin), g.rank, {x.data + some.begin, x.row}, g, columns,
                  p.da + g.slot * p.da_slot + some.begin, p.da_row);
    return;
  }
  std::fill_n(buffer, g.rank * kColumns, 0.0f);
  const float* dy = static_cast<const float*>(p.dy) + g.begin * p.dy_row + some.begin;
  add_over_rows(p.s + g.begin * p.s_row, p.s_row, {dy, p.dy_row}, g, columns, buffer, kColumns);
  table().transpose({.from = buffer,
                     .row = kColumns,
                     .to = p.db + g.slot * p.db_slot + some.begin * p.db_row,
                     .to_row = p.db_row,
                     .rows = g.rank,
                     .columns = columns,
                     .alpha = scale_of(g, p.weights),
                     .add = true});
}

void weight_gradients(const Wave& wave, Stream stream) {
  const std::vector<WeightPart> parts = weight_parts(wave);
  const auto groups = static_cast<std::int64_t>(wave.last - wave.first);
  std::int64_t rows = 0, rank = 0;
  for (std::size_t part = wave.first; part < wave.last; ++part) {
    rows += wave.group(part).end - wave.group(part).begin;
    rank = std::max<std::int64_t>(rank, wave.group(part).rank);
  }
  in_parallel(stream, static_cast<std::int64_t>(parts.size()), kColumns * 16 * rows / std::max<std::int64_t>(1, groups),
              [&](std::int64_t first, std::int64_t last) {
                const auto buffer = floats(rank * kColumns);
                for (std::int64_t i = first; i < last; ++i)
                  add_weight_gradient(wave, parts[static_cast<std::size_t>(i)], buffer.get());
              });
}

}  // namespace

Status adapter_backward(const AdapterBackward& args, Stream stream) {
  if (args.type != Type::f32) return kFloat32Only;
  const BackwardParts parts = adapted(args);
  for (std::size_t first = 0; first < parts.size();) {
    const Wave wave = wave_from(args, parts, first);
    input_gradients(wave, stream);
    weight_gradients(wave, stream);
    first = wave.last;
  }
  return {};
}

}  // namespace finetune::kernels::cpu
