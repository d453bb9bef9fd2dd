#include "engine/pack_builder.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>

namespace finetune {
namespace {

// Collects the flat arrays on the host.
struct Builder {
  std::vector<std::int64_t> ids, rows, targets;
  std::vector<std::int32_t> positions, bounds{0};
  std::vector<float> scales;
  std::int64_t longest = 0;

  void add_segment(const Example& example, float scale) {
    const auto begin = static_cast<std::int64_t>(ids.size());
    const auto length = static_cast<std::int64_t>(example.ids.size());
    for (std::int64_t i = 0; i < length; ++i) {
      ids.push_back(example.ids[static_cast<std::size_t>(i)]);
      positions.push_back(static_cast<std::int32_t>(i));
      if (i + 1 < length && example.loss[static_cast<std::size_t>(i + 1)]) {
        rows.push_back(begin + i);
        targets.push_back(example.ids[static_cast<std::size_t>(i + 1)]);
        scales.push_back(scale);
      }
    }
    bounds.push_back(static_cast<std::int32_t>(ids.size()));
    longest = std::max(longest, length);
  }

  // A pass of a few tokens gets a segment without loss; one of a few loss rows repeats its first with scale zero.
  void pad() {
    if (const auto missing = fewest_rows() - static_cast<std::int64_t>(ids.size()); missing > 0) {
      const auto count = static_cast<std::size_t>(missing);
      add_segment({.ids = std::vector<std::int32_t>(count, 0), .loss = std::vector<std::uint8_t>(count, 0)}, 0);
    }
    while (!rows.empty() && static_cast<std::int64_t>(rows.size()) < fewest_rows()) {
      rows.push_back(rows.front());
      targets.push_back(targets.front());
      scales.push_back(0);
    }
  }
};

template <typename T>
at::Tensor to_device(const std::vector<T>& values, at::ScalarType dtype, at::Device device) {
  return at::from_blob(const_cast<T*>(values.data()), {static_cast<std::int64_t>(values.size())}, dtype)
      .clone()
      .to(device);
}

void add_groups(Pack& pack, const PackTrial& trial, std::int64_t begin, std::int64_t end, std::int64_t token_base) {
  for (std::size_t p = 0; p < kProjections; ++p) {
    if (!trial.targets[p]) continue;
    pack.groups[p].push_back({.begin = begin,
                              .end = end,
                              .slot = trial.slot,
                              .rank = trial.rank,
                              .scale = trial.scale,
                              .dropout = static_cast<float>(trial.dropout),
                              .seed = trial.seed,
                              .step = trial.step,
                              .token_base = token_base});
  }
}

}  // namespace

std::int64_t fewest_rows() {
  return 8 * std::max(2, at::get_num_threads());
}

BuiltPack build_pack(const Pass& pass, std::span<const PackTrial> trials, at::Device device) {
  BuiltPack built;
  Builder builder;
  for (const Chunk& chunk : pass.chunks) {
    const PackTrial& trial = trials[chunk.trial];
    const auto begin = static_cast<std::int64_t>(builder.ids.size());
    const auto first_row = static_cast<std::int64_t>(builder.rows.size());
    for (std::size_t i = chunk.first; i < chunk.first + chunk.count; ++i) {
      builder.add_segment(trial.examples[static_cast<std::size_t>(trial.batch[i])],
                          static_cast<float>(trial.loss_scale));
    }
    add_groups(built.pack, trial, begin, static_cast<std::int64_t>(builder.ids.size()), chunk.token_base);
    built.rows.emplace_back(first_row, static_cast<std::int64_t>(builder.rows.size()));
  }
  builder.pad();
  Pack& pack = built.pack;
  pack.tokens = static_cast<std::int64_t>(builder.ids.size());
  pack.ids_T = to_device(builder.ids, at::kLong, device);
  pack.positions_T = to_device(builder.positions, at::kInt, device);
  pack.segments = ops::make_segments(std::move(builder.bounds), builder.longest, device);
  pack.loss_rows_N = to_device(builder.rows, at::kLong, device);
  pack.targets_N = to_device(builder.targets, at::kLong, device);
  pack.scale_N = to_device(builder.scales, at::kFloat, device);
  return built;
}

}  // namespace finetune
