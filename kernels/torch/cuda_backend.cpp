// fp32 and bf16 on CUDA: checks shapes and types, takes the device's current stream, hands pointers to kernels/api. The
// stream comes through c10's virtual guard, so nothing here links the CUDA half of LibTorch. Attention is ATen's.
#include <ATen/ATen.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "kernels/api/adamw.h"
#include "kernels/api/adapter.h"
#include "kernels/api/cross_entropy.h"
#include "kernels/api/rmsnorm.h"
#include "kernels/api/rotary.h"
#include "kernels/api/swiglu.h"
#include "kernels/torch/backend.h"

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

// A list of plain records in device memory, copied from pinned memory without waiting.
template <typename T>
at::Tensor on_device(const std::vector<T>& list, const at::Tensor& like) {
  const auto bytes = static_cast<std::int64_t>(std::max<std::size_t>(1, list.size()) * sizeof(T));
  const at::Tensor host = at::empty({bytes}, at::TensorOptions(at::kByte).pinned_memory(true));
  std::memcpy(host.data_ptr(), list.data(), list.size() * sizeof(T));
  return host.to(like.device(), /*non_blocking=*/true);
}
template <typename T>
T* records(const at::Tensor& bytes) {
  return static_cast<T*>(bytes.data_ptr());
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
             at::Tensor& correct, at::Tensor dlogits) {
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

// One projection's groups, as the kernels read them.
struct Groups {
  at::Tensor bytes;
  std::int64_t count = 0, tiles = 0, largest_rank = 0;
};

Groups groups_of(std::span<const AdapterGroup> groups, const at::Tensor& like) {
  std::vector<kernels::AdapterGroup> list;
  std::set<std::int64_t> slots;
  Groups result;
  for (const AdapterGroup& g : groups) {
    TORCH_CHECK(slots.insert(g.slot).second, "CUDA kernel: slot ", g.slot, " stands in two groups of a call");
    list.push_back({.begin = g.begin,
                    .end = g.end,
                    .slot = g.slot,
                    .rank = static_cast<std::int32_t>(g.rank),
                    .projections = 1,
                    .scale = g.scale,
                    .dropout = g.dropout,
                    .seed = g.seed,
                    .step = g.step,
                    .token_base = g.token_base});
    result.largest_rank = std::max(result.largest_rank, g.rank);
  }
  result.count = static_cast<std::int64_t>(list.size());
  result.tiles = kernels::number_tiles(list.data(), result.count);
  result.bytes = on_device(list, like);
  return result;
}

kernels::AdapterWeights weights_of(const at::Tensor& a, const at::Tensor& b, const at::Tensor& like) {
  return {.a = floats(a, like, a.sizes()),
          .b = floats(b, like, b.sizes()),
          .a_slot = a.stride(0),
          .a_row = a.stride(1),
          .b_slot = b.stride(0),
          .b_row = b.stride(1)};
}

void adapters_forward(const at::Tensor& x, const at::Tensor& a, const at::Tensor& b,
                      std::span<const AdapterGroup> groups, std::int64_t key, at::Tensor& s, at::Tensor& y) {
  const OnDevice here(x);
  const Groups list = groups_of(groups, x);
  kernels::AdapterForward args{.type = type_of(x),
                               .x = activation(x, x, {x.size(0), a.size(2)}),
                               .x_row = x.stride(0),
                               .inputs = x.size(1),
                               .groups = records<kernels::AdapterGroup>(list.bytes),
                               .group_count = list.count,
                               .tiles = list.tiles,
                               .largest_rank = list.largest_rank,
                               .projection = {},
                               .projections = 1};
  args.projection[0] = {.weights = weights_of(a, b, x),
                        .s = floats(s, x, s.sizes()),
                        .s_row = s.stride(0),
                        .y = activation(y, x, {x.size(0), b.size(1)}),
                        .y_row = y.stride(0),
                        .outputs = b.size(1),
                        .key = key};
  check(kernels::cuda::adapter_forward(args, here.stream()));
}

void adapters_backward(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& a, const at::Tensor& b,
                       const at::Tensor& s, std::span<const AdapterGroup> groups, std::int64_t key, at::Tensor& dx,
                       at::Tensor& da, at::Tensor& db) {
  const OnDevice here(x);
  const Groups list = groups_of(groups, x);
  const at::Tensor ds = at::empty(s.sizes(), s.options());
  kernels::AdapterBackward args{.type = type_of(x),
                                .x = activation(x, x, {x.size(0), a.size(2)}),
                                .x_row = x.stride(0),
                                .inputs = x.size(1),
                                .dx = dx.defined() ? activation(dx, x, x.sizes()) : nullptr,
                                .dx_row = dx.defined() ? dx.stride(0) : 0,
                                .groups = records<kernels::AdapterGroup>(list.bytes),
                                .group_count = list.count,
                                .tiles = list.tiles,
                                .largest_rank = list.largest_rank,
                                .projection = {},
                                .projections = 1};
  args.projection[0] = {.weights = weights_of(a, b, x),
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
                        .key = key};
  check(kernels::cuda::adapter_backward(args, here.stream()));
}

// The one operation that waits for the device: its result is asked for on the host.
std::vector<double> norms(const at::Tensor& grads, std::span<const SlotPieces> slots) {
  const OnDevice here(grads);
  std::vector<kernels::NormSlot> list;
  std::vector<kernels::GradientPiece> pieces;
  for (const SlotPieces& slot : slots) {
    list.push_back(
        {slot.slot, static_cast<std::int64_t>(pieces.size()), static_cast<std::int64_t>(slot.pieces.size())});
    for (const Piece& p : slot.pieces) pieces.push_back({p.offset, p.rows, p.length, p.stride});
  }
  const auto count = static_cast<std::int64_t>(list.size());
  const at::Tensor list_bytes = on_device(list, grads), piece_bytes = on_device(pieces, grads);
  const at::Tensor partial = at::empty({count, kernels::kNormParts}, grads.options().dtype(at::kDouble));
  const at::Tensor result = at::empty({count}, partial.options());
  check(kernels::cuda::gradient_norms({.grads = floats(grads, grads, grads.sizes()),
                                       .slot_stride = grads.stride(0),
                                       .slots = records<kernels::NormSlot>(list_bytes),
                                       .slot_count = count,
                                       .pieces = records<kernels::GradientPiece>(piece_bytes),
                                       .partial = partial.data_ptr<double>(),
                                       .norms = result.data_ptr<double>()},
                                      here.stream()));
  const at::Tensor on_host = result.cpu();
  return {on_host.const_data_ptr<double>(), on_host.const_data_ptr<double>() + count};
}

void adam(at::Tensor params, at::Tensor grads, at::Tensor first, at::Tensor second,
          std::span<const SlotUpdate> updates) {
  const OnDevice here(params);
  std::vector<kernels::AdamWSlot> list;
  std::vector<kernels::ParameterRange> ranges;
  for (const SlotUpdate& u : updates) {
    list.push_back({u.slot, u.learning_rate, u.beta1, u.beta2, u.epsilon, u.weight_decay, u.gradient_scale, u.step,
                    u.skip ? 1 : 0, static_cast<std::int32_t>(ranges.size()),
                    static_cast<std::int32_t>(u.decayed.size())});
    for (const auto& [begin, end] : u.decayed) ranges.push_back({begin, end});
  }
  const at::Tensor list_bytes = on_device(list, params), range_bytes = on_device(ranges, params);
  for (const at::Tensor* other : {&grads, &first, &second}) {
    TORCH_CHECK(other->stride(0) == params.stride(0), "CUDA kernel: slots must lie equally far apart in all arrays");
  }
  check(kernels::cuda::adamw({.params = floats(params, params, params.sizes()),
                              .grads = floats(grads, params, params.sizes()),
                              .first = floats(first, params, params.sizes()),
                              .second = floats(second, params, params.sizes()),
                              .slot_stride = params.stride(0),
                              .parameters = params.size(1),
                              .slots = records<kernels::AdamWSlot>(list_bytes),
                              .slot_count = static_cast<std::int64_t>(list.size()),
                              .decayed = records<kernels::ParameterRange>(range_bytes)},
                             here.stream()));
}

}  // namespace

const Backend& cuda_backend() {
  static const Backend kBackend = [] {
    Backend backend = composite_backend();
    backend.rmsnorm_forward = norm_forward;
    backend.rmsnorm_backward = norm_backward;
    backend.rotary = rotate;
    backend.swiglu_forward = gate_forward;
    backend.swiglu_backward = gate_backward;
    backend.cross_entropy = entropy;
    backend.adapter_forward = adapters_forward;
    backend.adapter_backward = adapters_backward;
    backend.gradient_norms = norms;
    backend.adamw = adam;
    return backend;
  }();
  return kBackend;
}

}  // namespace finetune::ops
