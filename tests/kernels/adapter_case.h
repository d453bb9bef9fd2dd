// Buffers and arguments of the adapter products of one pack, on the host for the oracle and on a device.
#pragma once

#include <limits>
#include <memory>
#include <vector>

#include "tests/kernels/cases.h"

namespace finetune::kernels::testing {

/// What a call is made for.
struct Shape {
  std::int64_t tokens, inputs;
  std::vector<std::int64_t> outputs;  // of each projection; its bit is its index + 1
  std::int64_t stored;                // rank of the bank
  std::vector<AdapterGroup> groups;
  std::int64_t gap = 2;  // elements between the rows of activations
};

/// All buffers of a forward and a backward call, for both implementations.
class Case {
 public:
  Case(Type type, const Shape& shape, Numbers numbers, std::int64_t more_tiles = 0)
      : shape_(shape),
        type_(type),
        groups_(numbered(shape.groups)),
        tiles_(tiles_of(shape.groups) + more_tiles),
        x(type, shape.tokens, shape.inputs + shape.gap, 1, 1, numbers),
        dx(type, shape.tokens, shape.inputs + shape.gap, 2, 1, numbers),
        scales({0.5f, -2.0f, 4.0f, 1.0f}) {
    const std::int64_t r = shape.stored, parts = gradient_part_rows(tiles_);
    for (std::size_t i = 0; i < shape.outputs.size(); ++i) {
      const std::int64_t o = shape.outputs[i];
      const std::uint64_t seed = 10 * (i + 1);
      const auto made = [&](std::int64_t count, std::uint64_t which) {
        return std::make_unique<Buffer<float>>(floats(count, seed + which, numbers));
      };
      // A [rank, inputs] and B [outputs, rank] of each slot: what is behind the rank of its trial is not to be read.
      const auto ranks = [&](std::unique_ptr<Buffer<float>> of, std::int64_t row, std::int64_t r_stride,
                             std::int64_t rows) {
        std::vector<float> values = of->host;
        for (const AdapterGroup& g : shape.groups) {
          for (std::int64_t k = g.rank; g.end > g.begin && k < r; ++k) {
            for (std::int64_t n = 0; n < rows; ++n)
              values[static_cast<std::size_t>(g.slot * r * rows + k * r_stride + n * row)] = nans(1)[0];
          }
        }
        of->refill(values);
        return of;
      };
      y.push_back(std::make_unique<Activations>(type, shape.tokens, o + shape.gap, seed, 1, numbers));
      dy.push_back(std::make_unique<Activations>(type, shape.tokens, o + shape.gap, seed + 1, 1, numbers));
      a.push_back(ranks(made(kSlots * r * shape.inputs, 2), 1, shape.inputs, shape.inputs));
      b.push_back(ranks(made(kSlots * o * r, 3), r, 1, o));
      da.push_back(made(kSlots * r * shape.inputs, 4)), db.push_back(made(kSlots * o * r, 5));
      // What nobody wrote is not to be read.
      s.push_back(std::make_unique<Buffer<float>>(nans(shape.tokens * r)));
      ds.push_back(std::make_unique<Buffer<float>>(nans(shape.tokens * r)));
      da_parts.push_back(std::make_unique<Buffer<float>>(nans(parts * shape.inputs)));
      db_parts.push_back(std::make_unique<Buffer<float>>(nans(parts * o)));
    }
  }

  AdapterForward forward(bool host) {
    AdapterForward args{};
    fill(args, host);
    for (std::size_t i = 0; i < y.size(); ++i) {
      args.projection[i] = {weights(host, i),
                            at(host, s[i]),
                            shape_.stored,
                            host ? y[i]->host() : y[i]->device(),
                            shape_.outputs[i] + shape_.gap,
                            shape_.outputs[i],
                            3 + static_cast<std::int64_t>(i),
                            1 + static_cast<std::int64_t>(i)};
    }
    return args;
  }

  AdapterBackward backward(bool host) {
    AdapterBackward args{};
    fill(args, host);
    args.dx = host ? dx.host() : dx.device();
    args.dx_row = shape_.inputs + shape_.gap;
    const std::int64_t r = shape_.stored;
    for (std::size_t i = 0; i < dy.size(); ++i) {
      args.projection[i] = {.weights = weights(host, i),
                            .s = at(host, s[i]),
                            .s_row = r,
                            .ds = at(host, ds[i]),
                            .ds_row = r,
                            .dy = host ? dy[i]->host() : dy[i]->device(),
                            .dy_row = shape_.outputs[i] + shape_.gap,
                            .outputs = shape_.outputs[i],
                            .da = at(host, da[i]),
                            .db = at(host, db[i]),
                            .da_slot = r * shape_.inputs,
                            .da_row = shape_.inputs,
                            .db_slot = shape_.outputs[i] * r,
                            .db_row = r,
                            .key = 3 + static_cast<std::int64_t>(i),
                            .bit = 1 + static_cast<std::int64_t>(i),
                            .da_parts = host ? nullptr : da_parts[i]->device(),
                            .db_parts = host ? nullptr : db_parts[i]->device()};
    }
    return args;
  }

  void run(bool host) {
    if (host) {
      ASSERT_TRUE(ref::adapter_forward(forward(true), {}).ok());
      ASSERT_TRUE(ref::adapter_backward(backward(true), {}).ok());
      return;
    }
    const Status first = cuda::adapter_forward(forward(false), {}),
                 second = cuda::adapter_backward(backward(false), {});
    ASSERT_TRUE(first.ok()) << first.problem;
    ASSERT_TRUE(second.ok()) << second.problem;
  }

  static constexpr std::int64_t kSlots = 4;

 private:
  static std::vector<float> nans(std::int64_t count) {
    return std::vector<float>(static_cast<std::size_t>(count), std::numeric_limits<float>::quiet_NaN());
  }
  static std::vector<AdapterGroup> numbered(std::vector<AdapterGroup> groups) {
    number_tiles(groups.data(), static_cast<std::int64_t>(groups.size()));
    return groups;
  }
  static std::int64_t tiles_of(std::vector<AdapterGroup> groups) {
    return number_tiles(groups.data(), static_cast<std::int64_t>(groups.size()));
  }
  template <typename B>
  static float* at(bool host, B& buffer) {
    return host ? buffer->host.data() : buffer->device();
  }
  AdapterWeights weights(bool host, std::size_t i) {  // the last projection has scales of its own, by slot
    const float* own = host ? scales.host.data() : scales.device();
    return {at(host, a[i]),
            at(host, b[i]),
            shape_.stored * shape_.inputs,
            shape_.inputs,
            shape_.outputs[i] * shape_.stored,
            shape_.stored,
            i + 1 == y.size() && i > 0 ? own : nullptr};
  }
  template <typename Args>
  void fill(Args& args, bool host) {
    args.type = type_;
    args.x = host ? x.host() : x.device();
    args.x_row = shape_.inputs + shape_.gap;
    args.inputs = shape_.inputs;
    args.groups = host ? groups_.host.data() : groups_.device();
    args.group_count = static_cast<std::int64_t>(shape_.groups.size());
    args.tiles = tiles_;
    args.largest_rank = shape_.stored;
    args.projections = static_cast<std::int64_t>(y.size());
  }

  Shape shape_;
  Type type_;
  Buffer<AdapterGroup> groups_;
  std::int64_t tiles_;

 public:
  Activations x, dx;
  Buffer<float> scales;
  std::vector<std::unique_ptr<Activations>> y, dy;
  std::vector<std::unique_ptr<Buffer<float>>> a, b, s, ds, da, db, da_parts, db_parts;
};

inline AdapterGroup group(std::int64_t begin, std::int64_t end, std::int64_t slot, std::int32_t rank,
                          std::uint32_t bits, float scale = 0.5f, float dropout = 0) {
  return {.begin = begin,
          .end = end,
          .slot = slot,
          .rank = rank,
          .projections = bits << 1,
          .scale = scale,
          .dropout = dropout,
          .seed = 77,
          .step = 5,
          .token_base = 11};
}

}  // namespace finetune::kernels::testing
