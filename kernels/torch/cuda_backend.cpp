// fp32 and bf16 on CUDA: checks shapes and types, takes the device's current stream, hands pointers to kernels/api. The
// stream comes through c10's virtual guard, so nothing here links the CUDA half of LibTorch. Attention is
// ATen's (flash.cpp).
#include <ATen/ATen.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include "kernels/api/adamw.h"
#include "kernels/api/adapter.h"
#include "kernels/api/cross_entropy.h"
#include "kernels/api/rmsnorm.h"
#include "kernels/api/rotary.h"
#include "kernels/api/swiglu.h"
#include "kernels/torch/backend.h"
#include "kernels/torch/records.h"

namespace finetune::ops {
namespace {

using kernels::Status;
using kernels::Stream;
using kernels::Type;

// Makes the tensor's device current for a launch, and gives it back.
class OnDevice {
 public:
  explicit OnDevice(const at::Tensor& tensor)
      : guard_(tensor.device().type()), before_(guard_.exchangeDevice(tensor.device())) {
    stream_ = {guard_.getStreamNativeHandle(guard_.getStream(tensor.device()))};
  }
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;
  ~OnDevice() { guard_.uncheckedSetDevice(before_); }
  Stream stream() const { return stream_; }

 private:
  c10::impl::VirtualGuardImpl guard_;
  at::Device before_;
  Stream stream_;
};

void check(Status status) {
  TORCH_CHECK(status.ok(), "CUDA kernel: ", status.problem);
}

Type type_of(const at::Tensor& tensor) {
  TORCH_CHECK(tensor.scalar_type() == at::kFloat || tensor.scalar_type() == at::kBFloat16,
              "CUDA kernels take float32 and bfloat16, not ", tensor.scalar_type());
  return tensor.scalar_type() == at::kFloat ? Type::f32 : Type::bf16;
}

// A pointer that kernels may walk: right device, dtype and shape, contiguous within a row.
void* pointer(const at::Tensor& tensor, const at::Tensor& like, at::ScalarType dtype, at::IntArrayRef shape) {
  TORCH_CHECK(tensor.device() == like.device() && tensor.scalar_type() == dtype && tensor.sizes() == shape,
              "CUDA kernel: expected ", dtype, shape, " on ", like.device(), ", got ", tensor.scalar_type(),
              tensor.sizes(), " on ", tensor.device());
  TORCH_CHECK(shape.back() <= 1 || tensor.stride(-1) == 1, "CUDA kernel: the elements of a row must be contiguous");
  return tensor.data_ptr();
}
void* activation(const at::Tensor& tensor, const at::Tensor& like, at::IntArrayRef shape) {
  return pointer(tensor, like, like.scalar_type(), shape);
}
float* floats(const at::Tensor& tensor, const at::Tensor& like, at::IntArrayRef shape) {
  return static_cast<float*>(pointer(tensor, like, at::kFloat, shape));
}

void norm_forward(const at::Tensor& x, const at::Tensor& w, double epsilon, at::Tensor& y, at::Tensor& rstd) {
  const OnDevice here(x);
  check(kernels::cuda::rmsnorm_forward({.type = type_of(x),
                                        .x = activation(x, x, x.sizes()),
                                        .x_row = x.stride(0),
                                        .w = activation(w, x, {x.size(1)}),
                                        .epsilon = static_cast<float>(epsilon),
                                        .y = activation(y, x, x.sizes()),
                                        .y_row = y.stride(0),
                                        .rstd = floats(rstd, x, {x.size(0)}),
                                        .rows = x.size(0),
                                        .width = x.size(1)},
                                       here.stream()));
}

void norm_backward(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& w, const at::Tensor& rstd,
                   at::Tensor& dx, bool accumulate, const at::Tensor& dw) {
  const OnDevice here(x);
  const kernels::RmsnormBackward args{.type = type_of(x),
                                      .dy = activation(dy, x, x.sizes()),
                                      .dy_row = dy.stride(0),
                                      .x = activation(x, x, x.sizes()),
                                      .x_row = x.stride(0),
                                      .w = activation(w, x, {x.size(1)}),
                                      .rstd = floats(rstd, x, {x.size(0)}),
                                      .dx = activation(dx, x, x.sizes()),
                                      .dx_row = dx.stride(0),
                                      .accumulate = accumulate,
                                      .rows = x.size(0),
                                      .width = x.size(1)};
  if (dw.defined()) {  // first: dx may be dy
    check(kernels::cuda::rmsnorm_weight_gradient({.type = args.type,
                                                  .dy = args.dy,
                                                  .dy_row = args.dy_row,
                                                  .x = args.x,
                                                  .x_row = args.x_row,
                                                  .rstd = args.rstd,
                                                  .dw = floats(dw, x, {x.size(1)}),
                                                  .rows = args.rows,
                                                  .width = args.width},
                                                 here.stream()));
  }
  check(kernels::cuda::rmsnorm_backward(args, here.stream()));
}

void rotate(at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin, const at::Tensor& positions, bool inverse) {
  const OnDevice here(x);
  TORCH_CHECK(x.size(1) <= 1 || x.stride(1) == x.size(2), "CUDA kernel: heads of a row must be contiguous");
  TORCH_CHECK(cos.is_contiguous() && sin.is_contiguous(), "CUDA kernel: rotary tables must be contiguous");
  const std::int64_t half = x.size(2) / 2;
  check(kernels::cuda::rotary(
      {.type = type_of(x),
       .x = activation(x, x, x.sizes()),
       .x_row = x.stride(0),
       .cos = floats(cos, x, {cos.size(0), half}),
       .sin = floats(sin, x, {cos.size(0), half}),
       .positions = static_cast<const std::int32_t*>(pointer(positions, x, at::kInt, {x.size(0)})),
       .inverse = inverse,
       .rows = x.size(0),
       .heads = x.size(1),
       .dim = x.size(2)},
      here.stream()));
}

void gate_forward(const at::Tensor& gate, const at::Tensor& up, at::Tensor& h) {
  const OnDevice here(gate);
  check(kernels::cuda::swiglu_forward({.type = type_of(gate),
                                       .gate = activation(gate, gate, gate.sizes()),
                                       .up = activation(up, gate, gate.sizes()),
                                       .gate_row = gate.stride(0),
                                       .up_row = up.stride(0),
                                       .h = activation(h, gate, gate.sizes()),
                                       .h_row = h.stride(0),
                                       .rows = gate.size(0),
                                       .width = gate.size(1)},
                                      here.stream()));
}

void gate_backward(const at::Tensor& dh, const at::Tensor& gate, const at::Tensor& up, at::Tensor& dgate,
                   at::Tensor& dup) {
  const OnDevice here(gate);
  check(kernels::cuda::swiglu_backward({.type = type_of(gate),
                                        .dh = activation(dh, gate, gate.sizes()),
                                        .dh_row = dh.stride(0),
                                        .gate = activation(gate, gate, gate.sizes()),
                                        .up = activation(up, gate, gate.sizes()),
                                        .gate_row = gate.stride(0),
                                        .up_row = up.stride(0),
                                        .dgate = activation(dgate, gate, gate.sizes()),
                                        .dup = activation(dup, gate, gate.sizes()),
                                        .dgate_row = dgate.stride(0),
                                        .dup_row = dup.stride(0),
                                        .rows = gate.size(0),
                                        .width = gate.size(1)},
                                       here.stream()));
}

void entropy(const at::Tensor& logits, const at::Tensor& targets, const at::Tensor& scale, at::Tensor& nll,
             at::Tensor& correct, const at::Tensor& dlogits) {
  const OnDevice here(logits);
  const std::int64_t rows = logits.size(0);
  check(kernels::cuda::cross_entropy(
      {.type = type_of(logits),
       .logits = activation(logits, logits, logits.sizes()),
       .logits_row = logits.stride(0),
       .targets = static_cast<const std::int64_t*>(pointer(targets, logits, at::kLong, {rows})),
       .scale = scale.defined() ? floats(scale, logits, {rows}) : nullptr,
       .nll = floats(nll, logits, {rows}),
       .correct = static_cast<std::uint8_t*>(pointer(correct, logits, at::kByte, {rows})),
       .dlogits = dlogits.defined() ? activation(dlogits, logits, logits.sizes()) : nullptr,
       .dlogits_row = dlogits.defined() ? dlogits.stride(0) : 0,
       .rows = rows,
       .vocabulary = logits.size(1)},
      here.stream()));
}

// A launch over all groups and projections that share x; the arguments that forward and backward have in common.
template <typename Args>
Args adapter_args(const at::Tensor& x, const AdapterGroups& groups, std::size_t projections) {
  TORCH_CHECK(projections <= static_cast<std::size_t>(kernels::kMaxProjections), "CUDA kernel: ", projections,
              " projections share an input, not more than ", kernels::kMaxProjections);
  Args args{};
  args.type = type_of(x);
  args.x = activation(x, x, x.sizes());
  args.x_row = x.stride(0);
  args.inputs = x.size(1);
  args.groups = records<kernels::AdapterGroup>(groups.records);
  args.group_count = static_cast<std::int64_t>(groups.list.size());
  args.tiles = groups.tiles;
  args.largest_rank = groups.largest_rank;
  args.projections = static_cast<std::int64_t>(projections);
  return args;
}

kernels::AdapterWeights weights_of(const at::Tensor& a, const at::Tensor& b, const at::Tensor& x) {
  TORCH_CHECK(a.size(2) == x.size(1), "CUDA kernel: an adapter of ", a.size(2), " inputs, given ", x.size(1));
  return {.a = floats(a, x, a.sizes()),
          .b = floats(b, x, b.sizes()),
          .a_slot = a.stride(0),
          .a_row = a.stride(1),
          .b_slot = b.stride(0),
          .b_row = b.stride(1)};
}

void adapters_forward(const at::Tensor& x, const AdapterGroups& groups, std::span<const AdapterOutput> outputs) {
  const OnDevice here(x);
  auto args = adapter_args<kernels::AdapterForward>(x, groups, outputs.size());
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const auto& [bit, key, a, b, s, y] = outputs[i];
    args.projection[i] = {.weights = weights_of(a, b, x),
                          .s = floats(s, x, s.sizes()),
                          .s_row = s.stride(0),
                          .y = activation(y, x, {x.size(0), b.size(1)}),
                          .y_row = y.stride(0),
                          .outputs = b.size(1),
                          .key = key,
                          .bit = bit};
  }
  check(kernels::cuda::adapter_forward(args, here.stream()));
}

void adapters_backward(const at::Tensor& x, const AdapterGroups& groups, std::span<const AdapterOutputGradient> outputs,
                       at::Tensor& dx) {
  const OnDevice here(x);
  auto args = adapter_args<kernels::AdapterBackward>(x, groups, outputs.size());
  args.dx = dx.defined() ? activation(dx, x, x.sizes()) : nullptr;
  args.dx_row = dx.defined() ? dx.stride(0) : 0;
  std::vector<at::Tensor> scratch;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const auto& [bit, key, a, b, s, dy, da, db] = outputs[i];
    const at::Tensor& ds = scratch.emplace_back(at::empty(s.sizes(), s.options()));
    args.projection[i] = {.weights = weights_of(a, b, x),
                          .s = floats(s, x, s.sizes()),
                          .s_row = s.stride(0),
                          .ds = floats(ds, x, s.sizes()),
                          .ds_row = ds.stride(0),
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
                          .bit = bit};
  }
  check(kernels::cuda::adapter_backward(args, here.stream()));
}

double* doubles(const at::Tensor& tensor, const at::Tensor& like, std::size_t count) {
  return static_cast<double*>(pointer(tensor, like, at::kDouble, {static_cast<std::int64_t>(count)}));
}

void norms(const at::Tensor& grads, const NormPlan& plan, at::Tensor& result) {
  const OnDevice here(grads);
  const auto count = static_cast<std::int64_t>(plan.slots.size());
  const at::Tensor partial = at::empty({count, kernels::kNormParts}, result.options());
  check(kernels::cuda::gradient_norms({.grads = floats(grads, grads, grads.sizes()),
                                       .slot_stride = grads.stride(0),
                                       .slots = records<kernels::NormSlot>(plan.slot_records),
                                       .slot_count = count,
                                       .pieces = records<kernels::GradientPiece>(plan.piece_records),
                                       .partial = partial.data_ptr<double>(),
                                       .norms = doubles(result, grads, plan.slots.size())},
                                      here.stream()));
}

void sums(const at::Tensor& values, std::span<const RowRange> ranges, at::Tensor& result) {
  const OnDevice here(values);
  const at::Tensor list = records_on(ranges, values.device());
  check(kernels::cuda::row_sums({.values = floats(values, values, values.sizes()),
                                 .ranges = records<RowRange>(list),
                                 .range_count = static_cast<std::int64_t>(ranges.size()),
                                 .sums = doubles(result, values, static_cast<std::size_t>(result.size(0)))},
                                here.stream()));
}

// All memory is taken before the launch, so it is done as a whole or not at all.
void adam(const OptimizerState& state, std::span<const SlotUpdate> updates, const at::Tensor& norms,
          const at::Tensor& losses, UpdateProgress& done) {
  const at::Tensor& params = state.params_SP;
  const OnDevice here(params);
  std::vector<kernels::AdamWSlot> list;
  std::vector<kernels::ParameterRange> ranges;
  for (const SlotUpdate& u : updates) {
    list.push_back({u.slot, u.learning_rate, u.beta1, u.beta2, u.epsilon, u.weight_decay, u.max_norm,
                    static_cast<std::int32_t>(ranges.size()), static_cast<std::int32_t>(u.decayed.size())});
    for (const auto& [begin, end] : u.decayed) ranges.push_back({begin, end});
  }
  const at::Tensor slots = records_on<kernels::AdamWSlot>(list, params.device());
  const at::Tensor decayed = records_on<kernels::ParameterRange>(ranges, params.device());
  for (const at::Tensor* other : {&state.grads_SP, &state.first_SP, &state.second_SP}) {
    TORCH_CHECK(other->stride(0) == params.stride(0), "CUDA kernel: slots must lie equally far apart in all arrays");
  }
  check(kernels::cuda::adamw(
      {.params = floats(params, params, params.sizes()),
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
       .steps = static_cast<std::int64_t*>(pointer(state.steps_S, params, at::kLong, {params.size(0)}))},
      here.stream()));
  done = {.updates = updates.size()};
}

}  // namespace

const Backend& cuda_backend() {
  static const Backend kBackend = [] {
    Backend backend = flash_backend();
    backend.rmsnorm_forward = norm_forward;
    backend.rmsnorm_backward = norm_backward;
    backend.rotary = rotate;
    backend.swiglu_forward = gate_forward;
    backend.swiglu_backward = gate_backward;
    backend.cross_entropy = entropy;
    backend.adapter_forward = adapters_forward;
    backend.adapter_backward = adapters_backward;
    backend.gradient_norms = norms;
    backend.row_sums = sums;
    backend.adamw = adam;
    return backend;
  }();
  return kBackend;
}

}  // namespace finetune::ops
