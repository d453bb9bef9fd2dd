// fp32 on the CPU: hands pointers to kernels/cpu, in parallel over independent items of a fixed size, so that results
// do not depend on the number of threads.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

#include "kernels/api/adamw.h"
#include "kernels/cpu/table.h"
#include "kernels/torch/backend.h"
#include "kernels/torch/dropout.h"

namespace finetune::ops {
namespace {

constexpr std::int64_t kRowBlock = 64;  // rows of one work item: fills a core for some microseconds, stays in its cache

const float* in(const at::Tensor& tensor) {
  return tensor.const_data_ptr<float>();
}
float* out(at::Tensor& tensor) {
  return tensor.data_ptr<float>();
}

// Items given to a thread at once, so that waking it is worth while: some ten microseconds of work at a few operations
// a nanosecond.
std::int64_t grain(std::int64_t operations_per_item) {
  return std::max<std::int64_t>(1, 200'000 / std::max<std::int64_t>(1, operations_per_item));
}

// `operations`: of one row.
template <typename Work>
void for_row_blocks(std::int64_t rows, std::int64_t operations, const Work& work) {
  at::parallel_for(0, (rows + kRowBlock - 1) / kRowBlock, grain(kRowBlock * operations),
                   [&](std::int64_t begin, std::int64_t end) {
                     for (std::int64_t block = begin; block < end; ++block)
                       work(block * kRowBlock, std::min(rows, (block + 1) * kRowBlock));
                   });
}

void norm_forward(const at::Tensor& x, const at::Tensor& w, double epsilon, at::Tensor& y, at::Tensor& rstd) {
  const std::int64_t width = x.size(1);
  for_row_blocks(x.size(0), 4 * x.size(1), [&](std::int64_t begin, std::int64_t end) {
    cpu::table().rmsnorm_forward(in(x) + begin * x.stride(0), x.stride(0), in(w), static_cast<float>(epsilon),
                                 out(y) + begin * width, out(rstd) + begin, end - begin, width);
  });
}

void norm_backward(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& w, const at::Tensor& rstd,
                   at::Tensor& dx, bool accumulate, const at::Tensor& dw) {
  const std::int64_t width = x.size(1);
  // The weight's gradient first: dx may be dy.
  if (dw.defined()) at::Tensor(dw).add_((dy * x * rstd.unsqueeze(1)).sum(0));
  for_row_blocks(x.size(0), 4 * x.size(1), [&](std::int64_t begin, std::int64_t end) {
    cpu::table().rmsnorm_backward(in(dy) + begin * width, in(x) + begin * x.stride(0), x.stride(0), in(w),
                                  in(rstd) + begin, out(dx) + begin * width, accumulate, end - begin, width);
  });
}

void rotate(at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin, const at::Tensor& positions, bool inverse) {
  const std::int32_t* at = positions.const_data_ptr<std::int32_t>();
  for_row_blocks(x.size(0), 4 * x.size(1) * x.size(2), [&](std::int64_t begin, std::int64_t end) {
    cpu::table().rotary(out(x) + begin * x.stride(0), x.stride(0), in(cos), in(sin), at + begin, inverse ? -1.0f : 1.0f,
                        end - begin, x.size(1), x.size(2));
  });
}

cpu::AttentionHead attention_head(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, std::int64_t begin,
                                  std::int64_t tokens, std::int64_t head, std::int64_t kv_head,
                                  const AttentionOptions& options) {
  const std::int64_t dim = q.size(2);
  return {.q = in(q) + begin * q.stride(0) + head * dim,
          .k = in(k) + begin * k.stride(0) + kv_head * dim,
          .v = in(v) + begin * v.stride(0) + kv_head * dim,
          .q_row = q.stride(0),
          .k_row = k.stride(0),
          .v_row = v.stride(0),
          .tokens = tokens,
          .dim = dim,
          .window = options.window,
          .scale = static_cast<float>(options.scale)};
}

void attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Segments& segments,
            const AttentionOptions& options, at::Tensor& o, at::Tensor& lse) {
  const std::int64_t heads = q.size(1), group = heads / k.size(1), dim = q.size(2), all = lse.size(1);
  const auto count = static_cast<std::int64_t>(segments.bounds.size()) - 1;
  const std::int64_t mean = q.size(0) / std::max<std::int64_t>(1, count);
  at::parallel_for(0, count * heads, grain(mean * mean * (2 * dim + 16)), [&](std::int64_t first, std::int64_t last) {
    std::vector<float> scratch(static_cast<std::size_t>(cpu::attention_scratch(segments.longest, dim)));
    for (std::int64_t item = first; item < last; ++item) {
      const std::int64_t segment = item / heads, head = item % heads,
                         begin = segments.bounds[static_cast<std::size_t>(segment)];
      const std::int64_t tokens = segments.bounds[static_cast<std::size_t>(segment) + 1] - begin;
      cpu::table().attention_forward(attention_head(q, k, v, begin, tokens, head, head / group, options),
                                     out(o) + begin * o.stride(0) + head * dim, o.stride(0),
                                     out(lse) + head * all + begin, scratch.data());
    }
  });
}

void attend_backward(const at::Tensor& d_o, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                     const at::Tensor& o, const at::Tensor& lse, const Segments& segments,
                     const AttentionOptions& options, at::Tensor& dq, at::Tensor& dk, at::Tensor& dv) {
  const std::int64_t heads = q.size(1), kv_heads = k.size(1), group = heads / kv_heads, dim = q.size(2),
                     all = lse.size(1);
  const auto count = static_cast<std::int64_t>(segments.bounds.size()) - 1;
  const std::int64_t mean = q.size(0) / std::max<std::int64_t>(1, count);
  at::parallel_for(
      0, count * kv_heads, grain(group * mean * mean * (5 * dim + 16)), [&](std::int64_t first, std::int64_t last) {
        std::vector<float> scratch(static_cast<std::size_t>(cpu::attention_scratch(segments.longest, dim)));
        for (std::int64_t item = first; item < last; ++item) {
          const std::int64_t segment = item / kv_heads, kv_head = item % kv_heads,
                             begin = segments.bounds[static_cast<std::size_t>(segment)];
          const std::int64_t tokens = segments.bounds[static_cast<std::size_t>(segment) + 1] - begin;
          float* to_k = out(dk) + begin * dk.stride(0) + kv_head * dim;
          float* to_v = out(dv) + begin * dv.stride(0) + kv_head * dim;
          for (std::int64_t t = 0; t < tokens; ++t) {
            std::fill_n(to_k + t * dk.stride(0), dim, 0.0f);
            std::fill_n(to_v + t * dv.stride(0), dim, 0.0f);
          }
          for (std::int64_t head = kv_head * group; head < (kv_head + 1) * group; ++head) {  // in order: a fixed sum
            cpu::table().attention_backward(attention_head(q, k, v, begin, tokens, head, kv_head, options),
                                            in(d_o) + begin * d_o.stride(0) + head * dim,
                                            in(o) + begin * o.stride(0) + head * dim, o.stride(0),
                                            in(lse) + head * all + begin, out(dq) + begin * dq.stride(0) + head * dim,
                                            dq.stride(0), to_k, dk.stride(0), to_v, dv.stride(0), scratch.data());
          }
        }
      });
}

void gate(const at::Tensor& g, const at::Tensor& u, at::Tensor& h) {
  for_row_blocks(g.size(0), 16 * g.size(1), [&](std::int64_t begin, std::int64_t end) {
    cpu::table().swiglu_forward(in(g) + begin * g.stride(0), in(u) + begin * u.stride(0), g.stride(0),
                                out(h) + begin * h.stride(0), end - begin, g.size(1));
  });
}

void gate_backward(const at::Tensor& dh, const at::Tensor& g, const at::Tensor& u, at::Tensor& dg, at::Tensor& du) {
  for_row_blocks(g.size(0), 16 * g.size(1), [&](std::int64_t begin, std::int64_t end) {
    cpu::table().swiglu_backward(in(dh) + begin * dh.stride(0), in(g) + begin * g.stride(0),
                                 in(u) + begin * u.stride(0), g.stride(0), out(dg) + begin * dg.stride(0),
                                 out(du) + begin * du.stride(0), dg.stride(0), end - begin, g.size(1));
  });
}

void entropy(const at::Tensor& logits, const at::Tensor& targets, const at::Tensor& scale, at::Tensor& nll,
             at::Tensor& correct, const at::Tensor& dlogits) {
  const std::int64_t vocabulary = logits.size(1);
  float* to = dlogits.defined() ? dlogits.data_ptr<float>() : nullptr;
  at::parallel_for(0, logits.size(0), grain(8 * vocabulary), [&](std::int64_t begin, std::int64_t end) {
    cpu::table().cross_entropy(in(logits) + begin * vocabulary, targets.const_data_ptr<std::int64_t>() + begin,
                               in(scale) + begin, out(nll) + begin, correct.data_ptr<std::uint8_t>() + begin,
                               to ? to + begin * vocabulary : nullptr, end - begin, vocabulary);
  });
}

// The groups that adapt a projection, in the order of the pack.
std::vector<AdapterGroup> adapting(std::span<const AdapterGroup> groups, std::int64_t bit) {
  std::vector<AdapterGroup> list;
  for (const AdapterGroup& group : groups) {
    if (adapts(group, bit)) list.push_back(group);
  }
  return list;
}

// Blocks of rows of all groups: the work items of the adapter products.
struct Block {
  const AdapterGroup* group;
  std::int64_t begin, end;  // rows of the pack
};
std::vector<Block> row_blocks(std::span<const AdapterGroup> groups) {
  std::vector<Block> blocks;
  for (const auto& group : groups) {
    for (std::int64_t row = group.begin; row < group.end; row += kRowBlock)
      blocks.push_back({&group, row, std::min(group.end, row + kRowBlock)});
  }
  return blocks;
}

// [rows, columns] -> [columns, rows], each group's matrices once per call.
std::vector<float> transposed(const float* from, std::int64_t row, std::int64_t rows, std::int64_t columns) {
  std::vector<float> to(static_cast<std::size_t>(rows * columns));
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t c = 0; c < columns; ++c) to[static_cast<std::size_t>(c * rows + r)] = from[r * row + c];
  }
  return to;
}

// Rows of x with dropout applied, or x itself. `buffer` holds the result.
const float* dropped(const at::Tensor& x, const Block& block, std::int64_t key, std::vector<float>& buffer) {
  const float* rows = in(x) + block.begin * x.stride(0);
  if (block.group->dropout <= 0) return rows;
  const std::int64_t width = x.size(1);
  buffer.resize(static_cast<std::size_t>((block.end - block.begin) * width));
  for (std::int64_t r = 0; r < block.end - block.begin; ++r) {
    float* row = buffer.data() + r * width;
    dropout_row(*block.group, key, block.begin - block.group->begin + r, row, width);
    for (std::int64_t c = 0; c < width; ++c) row[c] *= rows[r * x.stride(0) + c];
  }
  return buffer.data();
}

std::vector<std::vector<float>> transposed_of(std::span<const AdapterGroup> groups, const at::Tensor& matrices,
                                              bool is_a) {
  std::vector<std::vector<float>> all(groups.size());
  at::parallel_for(0, static_cast<std::int64_t>(groups.size()), grain(4 * matrices.size(1) * matrices.size(2)),
                   [&](std::int64_t begin, std::int64_t end) {
                     for (std::int64_t i = begin; i < end; ++i) {
                       const AdapterGroup& g = groups[static_cast<std::size_t>(i)];
                       const float* from = in(matrices) + g.slot * matrices.stride(0);
                       all[static_cast<std::size_t>(i)] =
                           is_a ? transposed(from, matrices.stride(1), g.rank, matrices.size(2))
                                : transposed(from, matrices.stride(1), matrices.size(1), g.rank);
                     }
                   });
  return all;
}

void adapter_forward_one(const at::Tensor& x, std::span<const AdapterGroup> groups, const AdapterOutput& output) {
  const at::Tensor &a = output.a_SRD, &b = output.b_SOR;
  at::Tensor s = output.s_TR, y = output.y_TO;
  const auto a_DR = transposed_of(groups, a, true), b_RO = transposed_of(groups, b, false);
  const auto blocks = row_blocks(groups);
  at::parallel_for(0, static_cast<std::int64_t>(blocks.size()), grain(kRowBlock * 16 * (x.size(1) + b.size(1))),
                   [&](std::int64_t first, std::int64_t last) {
                     std::vector<float> buffer;
                     for (std::int64_t i = first; i < last; ++i) {
                       const Block& block = blocks[static_cast<std::size_t>(i)];
                       const AdapterGroup& g = *block.group;
                       const auto index = static_cast<std::size_t>(&g - groups.data());
                       const float* rows = dropped(x, block, output.key, buffer);
                       const std::int64_t row = g.dropout > 0 ? x.size(1) : x.stride(0),
                                          count = block.end - block.begin;
                       float* s_rows = out(s) + block.begin * s.stride(0);
                       cpu::table().product({.x = rows,
                                             .x_row = row,
                                             .x_k = 1,
                                             .b = a_DR[index].data(),
                                             .b_row = g.rank,
                                             .c = s_rows,
                                             .c_row = s.stride(0),
                                             .rows = count,
                                             .n = g.rank,
                                             .depth = x.size(1)});
                       cpu::table().product({.x = s_rows,
                                             .x_row = s.stride(0),
                                             .x_k = 1,
                                             .b = b_RO[index].data(),
                                             .b_row = y.size(1),
                                             .c = out(y) + block.begin * y.stride(0),
                                             .c_row = y.stride(0),
                                             .rows = count,
                                             .n = y.size(1),
                                             .depth = g.rank,
                                             .alpha = g.scale,
                                             .add = true});
                     }
                   });
}

void adapters_forward(const at::Tensor& x, const AdapterGroups& groups, std::span<const AdapterOutput> outputs) {
  for (const AdapterOutput& output : outputs) adapter_forward_one(x, adapting(groups.list, output.bit), output);
}

// ds = scale dy b for all rows, and dx += ds a (through the mask).
void input_gradients(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& a, const at::Tensor& b,
                     std::span<const AdapterGroup> groups, std::int64_t key, at::Tensor& ds, at::Tensor& dx) {
  const auto blocks = row_blocks(groups);
  at::parallel_for(0, static_cast<std::int64_t>(blocks.size()), grain(kRowBlock * 16 * (x.size(1) + b.size(1))),
                   [&](std::int64_t first, std::int64_t last) {
                     std::vector<float> masked;
                     for (std::int64_t i = first; i < last; ++i) {
                       const Block& block = blocks[static_cast<std::size_t>(i)];
                       const AdapterGroup& g = *block.group;
                       const std::int64_t count = block.end - block.begin, width = x.size(1);
                       float* ds_rows = out(ds) + block.begin * ds.stride(0);
                       cpu::table().product({.x = in(dy) + block.begin * dy.stride(0),
                                             .x_row = dy.stride(0),
                                             .x_k = 1,
                                             .b = in(b) + g.slot * b.stride(0),
                                             .b_row = b.stride(1),
                                             .c = ds_rows,
                                             .c_row = ds.stride(0),
                                             .rows = count,
                                             .n = g.rank,
                                             .depth = dy.size(1),
                                             .alpha = g.scale});
                       if (!dx.defined()) continue;
                       cpu::Product product{.x = ds_rows,
                                            .x_row = ds.stride(0),
                                            .x_k = 1,
                                            .b = in(a) + g.slot * a.stride(0),
                                            .b_row = a.stride(1),
                                            .c = out(dx) + block.begin * dx.stride(0),
                                            .c_row = dx.stride(0),
                                            .rows = count,
                                            .n = width,
                                            .depth = g.rank,
                                            .add = true};
                       if (g.dropout <= 0) {
                         cpu::table().product(product);
                         continue;
                       }
                       masked.assign(static_cast<std::size_t>(2 * width * count), 0.0f);
                       float* factors = masked.data() + width * count;
                       product.c = masked.data();
                       product.c_row = width;
                       cpu::table().product(product);
                       for (std::int64_t r = 0; r < count; ++r) {
                         dropout_row(g, key, block.begin - g.begin + r, factors, width);
                         float* to = out(dx) + (block.begin + r) * dx.stride(0);
                         for (std::int64_t c = 0; c < width; ++c)
                           to[c] += masked[static_cast<std::size_t>(r * width + c)] * factors[c];
                       }
                     }
                   });
}

// A group's db (rows of outputs) or da (columns of inputs): each element is one sum over the group's tokens in order.
struct WeightPart {
  const AdapterGroup* group;
  bool is_a;
  std::int64_t begin, end;
};

void weight_gradients(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& s, const at::Tensor& ds,
                      std::span<const AdapterGroup> groups, std::int64_t key, at::Tensor& da, at::Tensor& db) {
  std::vector<at::Tensor> masked(groups.size());
  std::vector<WeightPart> parts;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    const AdapterGroup& g = groups[i];
    if (g.dropout > 0) {
      masked[i] = at::empty({g.end - g.begin, x.size(1)}, x.options());
      float* to = masked[i].data_ptr<float>();
      for_row_blocks(g.end - g.begin, 20 * x.size(1), [&](std::int64_t begin, std::int64_t end) {
        std::vector<float> buffer;
        const float* rows = dropped(x, {&g, g.begin + begin, g.begin + end}, key, buffer);
        std::copy_n(rows, (end - begin) * x.size(1), to + begin * x.size(1));
      });
    }
    for (std::int64_t o = 0; o < dy.size(1); o += kRowBlock)
      parts.push_back({&g, false, o, std::min(dy.size(1), o + kRowBlock)});
    for (std::int64_t d = 0; d < x.size(1); d += kRowBlock)
      parts.push_back({&g, true, d, std::min(x.size(1), d + kRowBlock)});
  }
  const std::int64_t tokens_each = x.size(0) / std::max<std::int64_t>(1, static_cast<std::int64_t>(groups.size()));
  at::parallel_for(0, static_cast<std::int64_t>(parts.size()), grain(kRowBlock * 16 * tokens_each),
                   [&](std::int64_t first, std::int64_t last) {
                     for (std::int64_t i = first; i < last; ++i) {
                       const WeightPart& part = parts[static_cast<std::size_t>(i)];
                       const AdapterGroup& g = *part.group;
                       const std::int64_t tokens = g.end - g.begin;
                       if (!part.is_a) {
                         cpu::table().product({.x = in(dy) + g.begin * dy.stride(0) + part.begin,
                                               .x_row = 1,
                                               .x_k = dy.stride(0),
                                               .b = in(s) + g.begin * s.stride(0),
                                               .b_row = s.stride(0),
                                               .c = out(db) + g.slot * db.stride(0) + part.begin * db.stride(1),
                                               .c_row = db.stride(1),
                                               .rows = part.end - part.begin,
                                               .n = g.rank,
                                               .depth = tokens,
                                               .alpha = g.scale,
                                               .add = true});
                         continue;
                       }
                       const at::Tensor& m = masked[static_cast<std::size_t>(&g - groups.data())];
                       const float* from = m.defined() ? in(m) : in(x) + g.begin * x.stride(0);
                       cpu::table().product({.x = in(ds) + g.begin * ds.stride(0),
                                             .x_row = 1,
                                             .x_k = ds.stride(0),
                                             .b = from + part.begin,
                                             .b_row = m.defined() ? x.size(1) : x.stride(0),
                                             .c = out(da) + g.slot * da.stride(0) + part.begin,
                                             .c_row = da.stride(1),
                                             .rows = g.rank,
                                             .n = part.end - part.begin,
                                             .depth = tokens,
                                             .add = true});
                     }
                   });
}

void adapters_backward(const at::Tensor& x, const AdapterGroups& groups, std::span<const AdapterOutputGradient> outputs,
                       at::Tensor& dx) {
  for (const AdapterOutputGradient& o : outputs) {
    const std::vector<AdapterGroup> list = adapting(groups.list, o.bit);
    at::Tensor ds = at::empty_like(o.s_TR), da = o.da_SRD, db = o.db_SOR;
    input_gradients(o.dy_TO, x, o.a_SRD, o.b_SOR, list, o.key, ds, dx);
    weight_gradients(o.dy_TO, x, o.s_TR, ds, list, o.key, da, db);
  }
}

void norms(const at::Tensor& grads, const NormPlan& plan, at::Tensor& result) {
  double* to = result.data_ptr<double>();
  at::parallel_for(0, static_cast<std::int64_t>(plan.slots.size()), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const SlotPieces& slot = plan.slots[static_cast<std::size_t>(i)];
      double sum = 0;
      for (const Piece& piece : slot.pieces) {
        for (std::int64_t row = 0; row < piece.rows; ++row) {
          sum += cpu::table().sum_of_squares(
              in(grads) + slot.slot * grads.stride(0) + piece.offset + row * piece.stride, piece.length);
        }
      }
      to[i] = std::sqrt(sum);
    }
  });
}

void sums(const at::Tensor& values, std::span<const RowRange> ranges, at::Tensor& result) {
  double* to = result.data_ptr<double>();
  for (const RowRange& range : ranges) {
    double sum = 0;
    for (std::int64_t r = range.begin; r < range.end; ++r) sum += static_cast<double>(in(values)[r]);
    to[range.to] += sum;
  }
}

// Stretches of a slot's row with and without decay, cut into work items.
struct Stretch {
  std::size_t update;
  std::int64_t begin, end;
  bool decayed;
};
constexpr std::int64_t kStretch = 16384;

void add_stretches(std::vector<Stretch>& list, std::size_t update, std::int64_t begin, std::int64_t end, bool decayed) {
  for (; begin < end; begin += kStretch) list.push_back({update, begin, std::min(end, begin + kStretch), decayed});
}

// An update's constants; nothing where its norm or loss is not finite: the slot stays as it is.
std::optional<std::array<cpu::AdamWStep, 2>> constants_of(const SlotUpdate& u, double norm, double loss,
                                                          std::int64_t step) {
  if (!std::isfinite(norm) || !std::isfinite(loss)) return {};
  const double correction1 = 1 - std::pow(u.beta1, step), correction2 = 1 - std::pow(u.beta2, step);
  cpu::AdamWStep plain{.grad_scale = static_cast<float>(kernels::clip_factor(u.max_norm, norm)),
                       .keep = 1.0f,
                       .new1 = static_cast<float>(1 - u.beta1),
                       .beta2 = static_cast<float>(u.beta2),
                       .new2 = static_cast<float>(1 - u.beta2),
                       .step_size = static_cast<float>(u.learning_rate / correction1),
                       .root_correction = static_cast<float>(std::sqrt(correction2)),
                       .epsilon = static_cast<float>(u.epsilon)};
  cpu::AdamWStep decayed = plain;
  decayed.keep = static_cast<float>(1 - u.learning_rate * u.weight_decay);
  return {{plain, decayed}};
}

// All memory is taken before the first write, so it is done as a whole or not at all.
void adam(const OptimizerState& state, std::span<const SlotUpdate> updates, const at::Tensor& norms_N,
          const at::Tensor& losses_N, UpdateProgress& progress) {
  at::Tensor params = state.params_SP, grads = state.grads_SP, first = state.first_SP, second = state.second_SP;
  auto* steps = state.steps_S.data_ptr<std::int64_t>();
  std::vector<Stretch> stretches;
  std::vector<std::optional<std::array<cpu::AdamWStep, 2>>> constants;
  for (std::size_t i = 0; i < updates.size(); ++i) {
    const SlotUpdate& update = updates[i];
    constants.push_back(constants_of(update, norms_N.const_data_ptr<double>()[i], losses_N.const_data_ptr<double>()[i],
                                     steps[update.slot] + 1));
    std::int64_t done = 0;
    for (const auto& [begin, end] : update.decayed) {
      add_stretches(stretches, i, done, begin, false);
      add_stretches(stretches, i, begin, end, true);
      done = end;
    }
    add_stretches(stretches, i, done, params.size(1), false);
  }
  for (std::size_t i = 0; i < updates.size(); ++i) steps[updates[i].slot] += constants[i] ? 1 : 0;
  progress = {.updates = updates.size()};
  at::parallel_for(0, static_cast<std::int64_t>(stretches.size()), grain(10 * kStretch),
                   [&](std::int64_t from, std::int64_t to) {
                     for (std::int64_t i = from; i < to; ++i) {
                       const Stretch& stretch = stretches[static_cast<std::size_t>(i)];
                       const std::int64_t at = updates[stretch.update].slot * params.stride(0) + stretch.begin,
                                          count = stretch.end - stretch.begin;
                       if (const auto& c = constants[stretch.update])
                         cpu::table().adamw(out(params) + at, out(grads) + at, out(first) + at, out(second) + at, count,
                                            (*c)[stretch.decayed ? 1 : 0]);
                       else
                         std::fill_n(out(grads) + at, count, 0.0f);
                     }
                   });
}

}  // namespace

const Backend& cpu_backend() {
  static const Backend kBackend = {norm_forward, norm_backward, rotate,  attend,           attend_backward,
                                   gate,         gate_backward, entropy, adapters_forward, adapters_backward,
                                   norms,        sums,          adam};
  return kBackend;
}

}  // namespace finetune::ops
