// From the arrays of a pass on the host to its tensors on a device: one copy, from pinned memory where the device has
// its own.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "engine/pack_data.h"
#include "models/decoder.h"

namespace finetune {

/// Device memory of a pass and the tensors that view it.
class PackArena {
 public:
  /// For passes of the data's shape and number of groups.
  PackArena(const PackData& data, at::Device device);
  /// Copies a pass of the arena's shape in. The tensors of pack() stay the same ones, and so do the sizes of every
  /// launch over them: whatever a captured graph reads is replaced in place. Does not wait.
  void fill(const PackData& data);
  const Pack& pack() const { return pack_; }
  /// Sizes of adapter launches that serve any pass of this shape: `rank` the largest, `projections` all that occur.
  void fix_launches(std::int64_t rank, std::uint32_t projections);

 private:
  bool fixed_ = false;
  at::Tensor bytes_;
  Pack pack_;
};

/// The pass, and which of its loss rows belong to which chunk.
struct BuiltPack {
  Pack pack;
  std::vector<std::pair<std::int64_t, std::int64_t>> rows;  ///< per chunk: [begin, end) in loss_rows_N
};
BuiltPack build_pack(const Pass& pass, std::span<const PackTrial> trials, std::span<const Batch> batches,
                     at::Device device, const PackModel& model = {});

}  // namespace finetune
