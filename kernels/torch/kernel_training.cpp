// Adapters and the optimizer by kernels.
#include <ATen/ATen.h>

#include <vector>

#include "kernels/api/adamw.h"
#include "kernels/api/adapter.h"
#include "kernels/api/cross_entropy.h"
#include "kernels/api/magnitude.h"
#include "kernels/torch/kernel_call.h"
#include "kernels/torch/records.h"

namespace finetune::ops {

// A launch over all groups and projections that share x; the arguments that forward and backward have in common.
template <typename Args>
static Args adapter_args(const at::Tensor& x, const AdapterGroups& groups, std::size_t projections) {
  TORCH_CHECK(projections <= static_cast<std::size_t>(kernels::kMaxProjections), "kernel: ", projections,
              " projections share an input, not more than ", kernels::kMaxProjections);
  Args args{};
  args.type = type_of(x);
  args.x = activation(x, x, x.sizes());
  args.x_row = x.stride(0);
  args.inputs = x.size(1);
  args.groups = x.is_cpu() ? groups.list.data() : records<kernels::AdapterGroup>(groups.records);
  args.group_count = static_cast<std::int64_t>(groups.list.size());
  args.tiles = groups.tiles;
  args.largest_rank = groups.largest_rank;
  args.projections = static_cast<std::int64_t>(projections);
  return args;
}

static kernels::AdapterWeights weights_of(const at::Tensor& a, const at::Tensor& b, const at::Tensor& scales,
                                          const at::Tensor& x) {
  TORCH_CHECK(a.size(2) == x.size(1), "kernel: an adapter of ", a.size(2), " inputs, given ", x.size(1));
  return {.a = floats(a, x, a.sizes()),
          .b = floats(b, x, b.sizes()),
          .a_slot = a.stride(0),
          .a_row = a.stride(1),
          .b_slot = b.stride(0),
          .b_row = b.stride(1),
          .scales = scales.defined() ? floats(scales, x, {a.size(0)}) : nullptr};
}

void by_kernel::adapter_forward(const at::Tensor& x, const AdapterGroups& groups,
                                std::span<const AdapterOutput> outputs) {
  const Launch launch(x);
  auto args = adapter_args<kernels::AdapterForward>(x, groups, outputs.size());
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const auto& [bit, key, a, b, s, y, scales] = outputs[i];
    args.projection[i] = {.weights = weights_of(a, b, scales, x),
                          .s = floats(s, x, s.sizes()),
                          .s_row = s.stride(0),
                          .y = activation(y, x, {x.size(0), b.size(1)}),
                          .y_row = y.stride(0),
                          .outputs = b.size(1),
                          .key = key,
                          .bit = bit};
  }
  launch.run(kernels::cpu::adapter_forward, kernels::cuda::adapter_forward, args);
}

void by_kernel::adapter_backward(const at::Tensor& x, const AdapterGroups& groups,
                                 std::span<const AdapterOutputGradient> outputs, at::Tensor& dx) {
  const Launch launch(x);
  auto args = adapter_args<kernels::AdapterBackward>(x, groups, outputs.size());
  args.dx = dx.defined() ? activation(dx, x, x.sizes()) : nullptr;
  args.dx_row = dx.defined() ? dx.stride(0) : 0;
  std::vector<at::Tensor> scratch;
  const auto floats_of = [&](at::IntArrayRef sizes, const at::Tensor& like) {
    return floats(scratch.emplace_back(at::empty(sizes, like.options())), x, sizes);
  };
  const bool in_parts = !x.is_cpu() && args.type == Type::bf16;
  const std::int64_t parts = in_parts ? kernels::gradient_part_rows(groups.tiles) : 0;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const auto& [bit, key, a, b, s, dy, da, db, scales] = outputs[i];
    args.projection[i] = {.weights = weights_of(a, b, scales, x),
                          .s = floats(s, x, s.sizes()),
                          .s_row = s.stride(0),
                          // The processor's kernel has its own, a few groups at a time.
                          .ds = x.is_cpu() ? nullptr : floats_of(s.sizes(), s),
                          .ds_row = s.size(1),
                          .dy = activation(dy, x, {x.size(0), b.size(1)}),
                          .dy_row = dy.stride(0),
                          .outputs = b.size(1),
                          .da = floats(da, x, a.sizes()),
                          .db = floats(db, x, b.sizes()),
                          .da_slot = da.stride(0),
                          .da_row = da.stride(1),
                          .db_slot = db.stride(0),
                          .db_row = db.stride(1),
                          .key = key,
                          .bit = bit,
                          .da_parts = parts > 0 ? floats_of({parts, x.size(1)}, s) : nullptr,
                          .db_parts = parts > 0 ? floats_of({parts, b.size(1)}, s) : nullptr};
  }
  launch.run(kernels::cpu::adapter_backward, kernels::cuda::adapter_backward, args);
}

static double* doubles(const at::Tensor& tensor, const at::Tensor& like, std::size_t count) {
  return static_cast<double*>(pointer(tensor, like, at::kDouble, {static_cast<std::int64_t>(count)}));
}

void by_kernel::gradient_norms(const at::Tensor& grads, const NormPlan& plan, at::Tensor& result) {
  const Launch launch(grads);
  const auto count = static_cast<std::int64_t>(plan.slots.size());
  const at::Tensor partial = at::empty({count, kernels::kNormParts}, result.options());
  launch.run(kernels::cpu::gradient_norms, kernels::cuda::gradient_norms,
             kernels::GradientNorms{.grads = floats(grads, grads, grads.sizes()),
                                    .slot_stride = grads.stride(0),
                                    .slots = records<kernels::NormSlot>(plan.slot_records),
                                    .slot_count = count,
                                    .pieces = records<kernels::GradientPiece>(plan.piece_records),
                                    .partial = partial.data_ptr<double>(),
                                    .norms = doubles(result, grads, plan.slots.size())});
}

void by_kernel::row_sums(const at::Tensor& values, std::span<const RowRange> ranges, at::Tensor& result) {
  const Launch launch(values);
  const at::Tensor list = records_on(ranges, values.device());
  launch.run(kernels::cpu::row_sums, kernels::cuda::row_sums,
             kernels::RowSums{.values = floats(values, values, values.sizes()),
                              .ranges = records<RowRange>(list),
                              .range_count = static_cast<std::int64_t>(ranges.size()),
                              .sums = doubles(result, values, static_cast<std::size_t>(result.size(0)))});
}

// All memory is taken before the launch, so it is done as a whole or not at all.
void by_kernel::adamw(const OptimizerState& state, std::span<const SlotUpdate> updates, const at::Tensor& norms,
                      const at::Tensor& losses, UpdateProgress& done) {
  const at::Tensor& params = state.params_SP;
  const Launch launch(params);
  std::vector<kernels::AdamWSlot> list;
  std::vector<kernels::ParameterRange> ranges;
  for (const SlotUpdate& u : updates) {
    list.push_back({u.slot, u.learning_rate, u.beta1, u.beta2, u.epsilon, u.weight_decay, u.max_norm,
                    static_cast<std::int32_t>(ranges.size()), static_cast<std::int32_t>(u.decayed.size())});
    ranges.insert(ranges.end(), u.decayed.begin(), u.decayed.end());
  }
  const at::Tensor slots = records_on<kernels::AdamWSlot>(list, params.device());
  const at::Tensor decayed = records_on<kernels::ParameterRange>(ranges, params.device());
  for (const at::Tensor* other : {&state.grads_SP, &state.first_SP, &state.second_SP}) {
    TORCH_CHECK(other->stride(0) == params.stride(0), "kernel: slots must lie equally far apart in all arrays");
  }
  launch.run(
      kernels::cpu::adamw, kernels::cuda::adamw,
      kernels::AdamW{.params = floats(params, params, params.sizes()),
                     .grads = floats(state.grads_SP, params, params.sizes()),
                     .first = floats(state.first_SP, params, params.sizes()),
                     .second = floats(state.second_SP, params, params.sizes()),
                     .slot_stride = params.stride(0),
                     .parameters = params.size(1),
                     .slots = records<kernels::AdamWSlot>(slots),
                     .slot_count = static_cast<std::int64_t>(list.size()),
                     .decayed = records<kernels::ParameterRange>(decayed),
                     .norms = doubles(norms, params, updates.size()),
                     .losses = doubles(losses, params, updates.size()),
                     .steps = static_cast<std::int64_t*>(pointer(state.steps_S, params, at::kLong, {params.size(0)}))});
  done = {.updates = updates.size()};
}

void by_kernel::magnitude_backward(const at::Tensor& dy, const at::Tensor& z, const at::Tensor& factor,
                                   const at::Tensor& inverse_norm, at::Tensor& dz, at::Tensor& dm) {
  const Launch launch(dy);
  const std::int64_t width = dy.size(1);
  launch.run<kernels::MagnitudeBackward>(kernels::cpu::magnitude_backward, nullptr,
                                         {.type = type_of(dy),
                                          .dy = activation(dy, dy, dy.sizes()),
                                          .z = activation(z, dy, dy.sizes()),
                                          .dy_row = dy.stride(0),
                                          .z_row = z.stride(0),
                                          .factor = floats(factor, dy, {width}),
                                          .inverse_norm = floats(inverse_norm, dy, {width}),
                                          .dz = activation(dz, dy, dy.sizes()),
                                          .dz_row = dz.stride(0),
                                          .dm = floats(dm, dy, {width}),
                                          .rows = dy.size(0),
                                          .width = width});
}

}  // namespace finetune::ops
