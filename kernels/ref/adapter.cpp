#include "kernels/api/adapter.h"

#include <vector>

#include "core/random.h"
#include "kernels/ref/storage.h"

namespace finetune::kernels::ref {
namespace {

// 0 where dropped, else 1 / (1 - p). The same words as the mask of kernels/api/dropout.h.
double dropout_factor(const AdapterGroup& group, std::int64_t key, std::int64_t row, std::int64_t column) {
  if (group.dropout <= 0) return 1;
  const auto words = philox({static_cast<std::uint32_t>(column / 4), static_cast<std::uint32_t>(group.token_base + row),
                             static_cast<std::uint32_t>(group.step),
                             static_cast<std::uint32_t>(key) << 3 | static_cast<std::uint32_t>(Purpose::dropout)},
                            {static_cast<std::uint32_t>(group.seed), static_cast<std::uint32_t>(group.seed >> 32)});
  const float uniform = static_cast<float>(words[static_cast<std::size_t>(column % 4)] >> 8) * 0x1p-24f;
  return uniform < group.dropout ? 0.0f : 1.0f / (1.0f - group.dropout);
}

float scale_of(const AdapterGroup& group, const AdapterWeights& weights) {
  return weights.scales != nullptr ? weights.scales[group.slot] : group.scale;
}

bool adapts(const AdapterGroup& group, std::int64_t projection) {
  return (group.projections >> projection & 1) != 0;
}

// dropout(x) of one group, [rows, inputs].
std::vector<double> dropped(const AdapterGroup& g, std::int64_t key, Type type, const void* x, std::int64_t x_row,
                            std::int64_t inputs) {
  std::vector<double> values;
  for (std::int64_t t = g.begin; t < g.end; ++t) {
    for (std::int64_t d = 0; d < inputs; ++d) {
      values.push_back(read(type, x, t * x_row + d) * dropout_factor(g, key, t - g.begin, d));
    }
  }
  return values;
}

void forward(const AdapterForward& args, const AdapterForwardProjection& p, const AdapterGroup& g) {
  const float *a = p.weights.a + g.slot * p.weights.a_slot, *b = p.weights.b + g.slot * p.weights.b_slot;
  const std::vector<double> x = dropped(g, p.key, args.type, args.x, args.x_row, args.inputs);
  for (std::int64_t t = g.begin; t < g.end; ++t) {
    const double* row = x.data() + (t - g.begin) * args.inputs;
    std::vector<double> s(static_cast<std::size_t>(g.rank));
    for (std::int64_t r = 0; r < g.rank; ++r) {
      for (std::int64_t d = 0; d < args.inputs; ++d)
        s[static_cast<std::size_t>(r)] += row[d] * a[r * p.weights.a_row + d];
      p.s[t * p.s_row + r] = static_cast<float>(s[static_cast<std::size_t>(r)]);
    }
    for (std::int64_t o = 0; o < p.outputs; ++o) {
      double sum = 0;
      for (std::int64_t r = 0; r < g.rank; ++r) sum += s[static_cast<std::size_t>(r)] * b[o * p.weights.b_row + r];
      const std::int64_t to = t * p.y_row + o;
      write(args.type, p.y, to, read(args.type, p.y, to) + rounded(args.type, sum * scale_of(g, p.weights)));
    }
  }
}

void output_gradients(const AdapterBackward& args, const AdapterBackwardProjection& p, const AdapterGroup& g) {
  const float* b = p.weights.b + g.slot * p.weights.b_slot;
  for (std::int64_t r = 0; r < g.rank; ++r) {
    for (std::int64_t t = g.begin; t < g.end; ++t) {
      double sum = 0;
      for (std::int64_t o = 0; o < p.outputs; ++o)
        sum += read(args.type, p.dy, t * p.dy_row + o) * b[o * p.weights.b_row + r];
      p.ds[t * p.ds_row + r] = static_cast<float>(sum * scale_of(g, p.weights));
    }
    for (std::int64_t o = 0; o < p.outputs; ++o) {
      double sum = 0;
      for (std::int64_t t = g.begin; t < g.end; ++t)
        sum += read(args.type, p.dy, t * p.dy_row + o) * p.s[t * p.s_row + r];
      float& to = p.db[g.slot * p.db_slot + o * p.db_row + r];
      to = static_cast<float>(to + sum * scale_of(g, p.weights));
    }
  }
}

void weight_gradient(const AdapterBackward& args, const AdapterBackwardProjection& p, const AdapterGroup& g) {
  const std::vector<double> x = dropped(g, p.key, args.type, args.x, args.x_row, args.inputs);
  for (std::int64_t r = 0; r < g.rank; ++r) {
    for (std::int64_t d = 0; d < args.inputs; ++d) {
      double sum = 0;
      for (std::int64_t t = g.begin; t < g.end; ++t)
        sum += p.ds[t * p.ds_row + r] * x[static_cast<std::size_t>((t - g.begin) * args.inputs + d)];
      float& to = p.da[g.slot * p.da_slot + r * p.da_row + d];
      to = static_cast<float>(to + sum);
    }
  }
}

// A group's dx: the projections' parts are added before the one rounding.
void input_gradient(const AdapterBackward& args, const AdapterGroup& g) {
  for (std::int64_t t = g.begin; t < g.end; ++t) {
    for (std::int64_t d = 0; d < args.inputs; ++d) {
      double total = 0;
      for (std::int64_t i = 0; i < args.projections; ++i) {
        const AdapterBackwardProjection& p = args.projection[i];
        if (!adapts(g, p.bit)) continue;
        double sum = 0;
        for (std::int64_t r = 0; r < g.rank; ++r) {
          sum += static_cast<double>(p.ds[t * p.ds_row + r]) *
                 p.weights.a[g.slot * p.weights.a_slot + r * p.weights.a_row + d];
        }
        total += sum * dropout_factor(g, p.key, t - g.begin, d);
      }
      const std::int64_t to = t * args.dx_row + d;
      write(args.type, args.dx, to, read(args.type, args.dx, to) + rounded(args.type, total));
    }
  }
}

}  // namespace

Status adapter_forward(const AdapterForward& args, Stream) {
  for (std::int64_t i = 0; i < args.projections; ++i) {
    for (std::int64_t k = 0; k < args.group_count; ++k) {
      if (adapts(args.groups[k], args.projection[i].bit)) forward(args, args.projection[i], args.groups[k]);
    }
  }
  return {};
}

Status adapter_backward(const AdapterBackward& args, Stream) {
  for (std::int64_t k = 0; k < args.group_count; ++k) {
    const AdapterGroup& group = args.groups[k];
    for (std::int64_t i = 0; i < args.projections; ++i) {
      if (!adapts(group, args.projection[i].bit)) continue;
      output_gradients(args, args.projection[i], group);
      weight_gradient(args, args.projection[i], group);
    }
    if (args.dx != nullptr) input_gradient(args, group);
  }
  return {};
}

}  // namespace finetune::kernels::ref
