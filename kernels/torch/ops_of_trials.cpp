// Operations that tell trials apart: adapters, norms of gradients, sums of rows, the optimizer.
#include <ATen/ATen.h>

#include <algorithm>

#include "kernels/api/adamw.h"
#include "kernels/torch/backend.h"
#include "kernels/torch/ops.h"
#include "kernels/torch/profile.h"
#include "kernels/torch/records.h"

namespace finetune::ops {

AdapterGroups make_adapter_groups(std::vector<AdapterGroup> list) {
  AdapterGroups groups;
  groups.tiles = kernels::number_tiles(list.data(), static_cast<std::int64_t>(list.size()));
  for (const AdapterGroup& group : list) {
    groups.projections |= group.projections;
    groups.dropout = groups.dropout || group.dropout > 0;
    groups.largest_rank = std::max<std::int64_t>(groups.largest_rank, group.rank);
  }
  groups.list = std::move(list);
  return groups;
}

AdapterGroups adapter_groups_on(std::vector<AdapterGroup> list, at::Device device) {
  AdapterGroups groups = make_adapter_groups(std::move(list));
  if (!device.is_cpu()) groups.records = records_on<AdapterGroup>(groups.list, device);
  return groups;
}

template <typename Output, typename WorkOf>
static Work over_groups(const at::Tensor& x_TD, const AdapterGroups& groups, std::span<const Output> outputs,
                        double inputs_passes, const WorkOf& work_of) {
  Work work;
  for (const AdapterGroup& group : groups.list) {
    const std::int64_t rows = group.end - group.begin;
    if ((group.projections & groups.projections) == 0) continue;
    work += elementwise_work(rows * x_TD.size(1), 0, inputs_passes, x_TD.element_size());
    for (const Output& output : outputs) {
      if ((group.projections >> output.bit & 1) != 0) work += work_of(rows, output.b_SOR.size(1), group.rank);
    }
  }
  return work;
}
static Work forward_work(const at::Tensor& x_TD, const AdapterGroups& groups, std::span<const AdapterOutput> outputs) {
  return over_groups(x_TD, groups, outputs, 1, [&](std::int64_t rows, std::int64_t width, std::int64_t rank) {
    return adapter_forward_work(rows, x_TD.size(1), width, rank, x_TD.element_size());
  });
}
static Work backward_work(const at::Tensor& x_TD, const AdapterGroups& groups,
                          std::span<const AdapterOutputGradient> outputs, bool with_input) {
  const double passes = with_input ? 3 : 1;
  return over_groups(x_TD, groups, outputs, passes, [&](std::int64_t rows, std::int64_t width, std::int64_t rank) {
    return adapter_backward_work(rows, x_TD.size(1), width, rank, x_TD.element_size(), with_input);
  });
}

static Operation adapter_operation(const AdapterGroups& groups) {
  return groups.dropout ? Operation::dropped_adapter : Operation::adapter;
}

void adapter_forward(const at::Tensor& x_TD, const AdapterGroups& groups, std::span<const AdapterOutput> outputs) {
  const Timed timed(Part::adapters, [&] { return forward_work(x_TD, groups, outputs); });
  backend_for(adapter_operation(groups), x_TD).adapter_forward(x_TD, groups, outputs);
}

void adapter_backward(const at::Tensor& x_TD, const AdapterGroups& groups,
                      std::span<const AdapterOutputGradient> outputs, at::Tensor& dx_TD) {
  const Timed timed(Part::adapters, [&] { return backward_work(x_TD, groups, outputs, dx_TD.defined()); });
  backend_for(adapter_operation(groups), x_TD).adapter_backward(x_TD, groups, outputs, dx_TD);
}

NormPlan make_norm_plan(std::vector<SlotPieces> slots, at::Device device) {
  std::vector<kernels::NormSlot> list;
  std::vector<kernels::GradientPiece> pieces;
  for (const SlotPieces& slot : slots) {
    list.push_back(
        {slot.slot, static_cast<std::int64_t>(pieces.size()), static_cast<std::int64_t>(slot.pieces.size())});
    for (const Piece& p : slot.pieces) pieces.push_back({p.offset, p.rows, p.length, p.stride});
  }
  return {std::move(slots), records_on<kernels::NormSlot>(list, device),
          records_on<kernels::GradientPiece>(pieces, device)};
}

static std::int64_t elements_of(const NormPlan& plan) {
  std::int64_t elements = 0;
  for (const SlotPieces& slot : plan.slots) {
    for (const Piece& piece : slot.pieces) elements += piece.rows * piece.length;
  }
  return elements;
}

void gradient_norms(const at::Tensor& grads_SP, const NormPlan& plan, at::Tensor& norms_N) {
  const Timed timed(Part::gradient_norms, [&] { return elementwise_work(elements_of(plan), 2, 1, 4); });
  backend_for(Operation::optimizer, grads_SP).gradient_norms(grads_SP, plan, norms_N);
}

void row_sums(const at::Tensor& values, std::span<const RowRange> ranges, at::Tensor& sums_N) {
  const Timed timed(Part::results);
  backend_for(Operation::optimizer, values).row_sums(values, ranges, sums_N);
}

void adamw(const OptimizerState& state, std::span<const SlotUpdate> updates, const at::Tensor& norms_N,
           const at::Tensor& losses_N, UpdateProgress& done) {
  const Timed timed(Part::optimizer, [&] {
    const auto slots = static_cast<std::int64_t>(updates.size());
    return elementwise_work(slots * state.params_SP.size(1), kExponentialFlops, 8, 4);
  });
  backend_for(Operation::optimizer, state.params_SP).adamw(state, updates, norms_N, losses_N, done);
}

}  // namespace finetune::ops
