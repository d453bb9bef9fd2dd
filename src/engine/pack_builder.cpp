#include "engine/pack_builder.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstring>

#include "kernels/torch/profile.h"
namespace finetune {
namespace {

// Where each array lies in the arena: one after the other, at multiples of 16 bytes.
struct Layout {
  explicit Layout(const PackData& data) {
    ids = place<std::int64_t>(data.ids.size());
    loss_rows = place<std::int64_t>(data.loss_rows.size());
    targets = place<std::int64_t>(data.targets.size());
    groups = place<ops::AdapterGroup>(data.groups.size());
    positions = place<std::int32_t>(data.positions.size());
    bounds = place<std::int32_t>(data.bounds.size());
    scales = place<float>(data.scales.size());
    noise = place<float>(data.noise.size());
  }
  std::int64_t ids, loss_rows, targets, groups, positions, bounds, scales, noise, bytes = 0;

 private:
  template <typename T>
  std::int64_t place(std::size_t count) {
    const std::int64_t offset = bytes;
    bytes += static_cast<std::int64_t>((count * sizeof(T) + 15) / 16 * 16);
    return offset;
  }
};

template <typename T>
void write(at::Tensor& bytes, std::int64_t offset, const std::vector<T>& values) {
  std::memcpy(bytes.data_ptr<std::uint8_t>() + offset, values.data(), values.size() * sizeof(T));
}

at::Tensor view(const at::Tensor& bytes, std::int64_t offset, std::size_t count, at::ScalarType dtype) {
  const auto length = static_cast<std::int64_t>(count * at::elementSize(dtype));
  return bytes.narrow(0, offset, length).view(dtype);
}

}  // namespace

PackArena::PackArena(const PackData& data, at::Device device) {
  const Layout layout(data);
  bytes_ = at::empty({layout.bytes}, at::TensorOptions(at::kByte).device(device));
  pack_.tokens = static_cast<std::int64_t>(data.ids.size());
  pack_.ids_T = view(bytes_, layout.ids, data.ids.size(), at::kLong);
  pack_.positions_T = view(bytes_, layout.positions, data.positions.size(), at::kInt);
  pack_.segments.bounds_B1 = view(bytes_, layout.bounds, data.bounds.size(), at::kInt);
  pack_.loss_rows_N = view(bytes_, layout.loss_rows, data.loss_rows.size(), at::kLong);
  pack_.targets_N = view(bytes_, layout.targets, data.targets.size(), at::kLong);
  pack_.scale_N = view(bytes_, layout.scales, data.scales.size(), at::kFloat);
  if (!data.noise.empty())
    pack_.noise_TD = view(bytes_, layout.noise, data.noise.size(), at::kFloat).view({pack_.tokens, -1});
  pack_.groups.records =
      bytes_.narrow(0, layout.groups, static_cast<std::int64_t>(data.groups.size() * sizeof(ops::AdapterGroup)));
}

void PackArena::fill(const PackData& data) {
  const ops::Timed timed(ops::Part::packing, [&] { return ops::elementwise_work(bytes_.numel(), 0, 2, 1); });
  ops::AdapterGroups groups = ops::make_adapter_groups(data.groups);
  const Layout layout(data);
  TORCH_CHECK(layout.bytes == bytes_.size(0), "a pass of another shape than its arena's");
  const bool here = bytes_.is_cpu();
  at::Tensor host = here ? bytes_ : at::empty({layout.bytes}, at::TensorOptions(at::kByte).pinned_memory(true));
  write(host, layout.ids, data.ids);
  write(host, layout.loss_rows, data.loss_rows);
  write(host, layout.targets, data.targets);
  write(host, layout.groups, groups.list);
  write(host, layout.positions, data.positions);
  write(host, layout.bounds, data.bounds);
  write(host, layout.scales, data.scales);
  write(host, layout.noise, data.noise);
  if (!here) bytes_.copy_(host, /*non_blocking=*/true);
  pack_.segments.bounds = data.bounds;
  pack_.segments.longest = data.longest;
  pack_.sequences = data.sequences;
  pack_.trials = data.trials;
  pack_.terms = data.terms;
  pack_.own_embeddings = data.own_embeddings;
  pack_.own_heads = data.own_heads;
  pack_.groups.list = std::move(groups.list);
  pack_.groups.dropout = groups.dropout;
  if (fixed_) return;
  pack_.groups.projections = groups.projections;
  pack_.groups.tiles = groups.tiles;
  pack_.groups.largest_rank = groups.largest_rank;
}

void PackArena::fix_launches(std::int64_t rank, std::uint32_t projections) {
  fixed_ = true;
  pack_.groups.projections = projections;
  pack_.groups.largest_rank = rank;
  // Each group ends with at most one tile that is not full.
  pack_.groups.tiles = pack_.tokens / kernels::kTileRows + static_cast<std::int64_t>(pack_.groups.list.size());
}

BuiltPack build_pack(const Pass& pass, std::span<const PackTrial> trials, std::span<const Batch> batches,
                     at::Device device, const PackModel& model) {
  PackData data = build_pack_data(pass, trials, batches, ops::fewest_product_rows(device), model);
  PackArena arena(data, device);
  arena.fill(data);
  return {arena.pack(), std::move(data.rows)};
}

}  // namespace finetune
