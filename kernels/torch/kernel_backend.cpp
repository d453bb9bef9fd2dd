// The kernels of kernels/api as backends: turns tensors into arguments, with the checks, for every implementation. What
// an implementation does not have is composed. A GPU's stream comes through c10's virtual guard, so nothing here links
// the CUDA half of LibTorch.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include "kernels/api/adamw.h"
#include "kernels/api/adapter.h"
#include "kernels/api/attention.h"
#include "kernels/api/cached_attention.h"
#include "kernels/api/cross_entropy.h"
#include "kernels/api/glu.h"
#include "kernels/api/magnitude.h"
#include "kernels/api/packed.h"
#include "kernels/api/rmsnorm.h"
#include "kernels/api/rotary.h"
#include "kernels/api/row_product.h"
#include "kernels/api/softcap.h"
#include "kernels/torch/backend.h"
#include "kernels/torch/composite.h"
#include "kernels/torch/records.h"

namespace finetune::ops {
namespace {

using kernels::Status;
using kernels::Stream;
using kernels::Type;

template <typename Args>
using Kernel = Status (*)(const Args&, Stream);

void parallel(std::int64_t count, std::int64_t grain, void (*work)(const void*, std::int64_t, std::int64_t),
              const void* context) {
  at::parallel_for(0, count, grain, [&](std::int64_t begin, std::int64_t end) { work(context, begin, end); });
}

// Where calls on the tensors of one device go: makes it current, and gives it back.
class Launch {
 public:
  explicit Launch(const at::Tensor& tensor)
      : guard_(tensor.device().type()), before_(guard_.exchangeDevice(tensor.device())), on_cpu_(tensor.is_cpu()) {
    if (on_cpu_)
      stream_.parallel = parallel;
    else
      stream_.handle = guard_.getStreamNativeHandle(guard_.getStream(tensor.device()));
  }
  Launch(const Launch&) = delete;
  Launch& operator=(const Launch&) = delete;
  ~Launch() { guard_.uncheckedSetDevice(before_); }

  template <typename Args>
  void run(Kernel<Args> cpu, Kernel<Args> cuda, const Args& args) const {
    const Kernel<Args> kernel = on_cpu_ ? cpu : cuda;
    TORCH_CHECK(kernel != nullptr, "kernel: there is none for this device");
    const Status status = kernel(args, stream_);
    TORCH_CHECK(status.ok(), "kernel: ", status.problem);
  }

 private:
  c10::impl::VirtualGuardImpl guard_;
  at::Device before_;
  bool on_cpu_;
  Stream stream_;
};

Type type_of(const at::Tensor& tensor) {
  TORCH_CHECK(tensor.scalar_type() == at::kFloat || tensor.scalar_type() == at::kBFloat16,
              "kernels take float32 and bfloat16, not ", tensor.scalar_type());
  return tensor.scalar_type() == at::kFloat ? Type::f32 : Type::bf16;
}

// A pointer that kernels may walk: right device, dtype and shape, contiguous within a row.
void* pointer(const at::Tensor& tensor, const at::Tensor& like, at::ScalarType dtype, at::IntArrayRef shape) {
  TORCH_CHECK(tensor.device() == like.device() && tensor.scalar_type() == dtype && tensor.sizes() == shape,
              "kernel: expected ", dtype, shape, " on ", like.device(), ", got ", tensor.scalar_type(), tensor.sizes(),
              " on ", tensor.device());
  TORCH_CHECK(shape.back() <= 1 || tensor.stride(-1) == 1, "kernel: the elements of a row must be contiguous");
  return tensor.data_ptr();
}
void* activation(const at::Tensor& tensor, const at::Tensor& like, at::IntArrayRef shape) {
  return pointer(tensor, like, like.scalar_type(), shape);
}
float* floats(const at::Tensor& tensor, const at::Tensor& like, at::IntArrayRef shape) {
  return static_cast<float*>(pointer(tensor, like, at::kFloat, shape));
}

// The operations of ops.h, under their names.
namespace by_kernel {

void rmsnorm_forward(const at::Tensor& x, const NormWeight& weight, double epsilon, at::Tensor& y, at::Tensor& rstd) {
  const Launch launch(x);
  launch.run(kernels::cpu::rmsnorm_forward, kernels::cuda::rmsnorm_forward,
             kernels::RmsnormForward{.type = type_of(x),
                                     .x = activation(x, x, x.sizes()),
                                     .x_row = x.stride(0),
                                     .w = activation(weight.w_D, x, {x.size(1)}),
                                     .epsilon = static_cast<float>(epsilon),
                                     .y = activation(y, x, x.sizes()),
                                     .y_row = y.stride(0),
                                     .rstd = floats(rstd, x, {x.size(0)}),
                                     .rows = x.size(0),
                                     .width = x.size(1),
                                     .unit_offset = weight.unit_offset});
}

// There is no kernel for a CPU: ATen's sum over rows is as good.
void add_norm_weight_gradient(const Launch& launch, const at::Tensor& dy, const at::Tensor& x, const at::Tensor& rstd,
                              const at::Tensor& dw) {
  if (x.is_cpu()) {
    at::Tensor(dw).add_((dy * x * rstd.unsqueeze(1)).sum(0));
    return;
  }
  launch.run<kernels::RmsnormWeightGradient>(nullptr, kernels::cuda::rmsnorm_weight_gradient,
                                             {.type = type_of(x),
                                              .dy = activation(dy, x, x.sizes()),
                                              .dy_row = dy.stride(0),
                                              .x = activation(x, x, x.sizes()),
                                              .x_row = x.stride(0),
                                              .rstd = floats(rstd, x, {x.size(0)}),
                                              .dw = floats(dw, x, {x.size(1)}),
                                              .rows = x.size(0),
                                              .width = x.size(1)});
}

void rmsnorm_backward(const at::Tensor& dy, const at::Tensor& x, const NormWeight& weight, const at::Tensor& rstd,
                      at::Tensor& dx, bool accumulate, const at::Tensor& dw) {
  const Launch launch(x);
  const kernels::RmsnormBackward args{.type = type_of(x),
                                      .dy = activation(dy, x, x.sizes()),
                                      .dy_row = dy.stride(0),
                                      .x = activation(x, x, x.sizes()),
                                      .x_row = x.stride(0),
                                      .w = activation(weight.w_D, x, {x.size(1)}),
                                      .rstd = floats(rstd, x, {x.size(0)}),
                                      .dx = activation(dx, x, x.sizes()),
                                      .dx_row = dx.stride(0),
                                      .accumulate = accumulate,
                                      .rows = x.size(0),
                                      .width = x.size(1),
                                      .unit_offset = weight.unit_offset};
  if (dw.defined()) add_norm_weight_gradient(launch, dy, x, rstd, dw);  // first: dx may be dy
  launch.run(kernels::cpu::rmsnorm_backward, kernels::cuda::rmsnorm_backward, args);
}

// [T, heads, dim] with the heads of a row side by side.
void* heads(const at::Tensor& tensor, const at::Tensor& like, at::IntArrayRef shape) {
  TORCH_CHECK(tensor.size(1) <= 1 || tensor.stride(1) == tensor.size(2), "kernel: heads of a row must be contiguous");
  return activation(tensor, like, shape);
}

void rotary(at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin, const at::Tensor& positions, bool inverse) {
  const Launch launch(x);
  TORCH_CHECK(cos.is_contiguous() && sin.is_contiguous(), "kernel: rotary tables must be contiguous");
  const std::int64_t half = x.size(2) / 2;
  launch.run(
      kernels::cpu::rotary, kernels::cuda::rotary,
      kernels::Rotary{.type = type_of(x),
                      .x = activation(x, x, x.sizes()),
                      .x_row = x.stride(0),
                      .x_head = x.stride(1),
                      .cos = floats(cos, x, {cos.size(0), half}),
                      .sin = floats(sin, x, {cos.size(0), half}),
                      .positions = static_cast<const std::int32_t*>(pointer(positions, x, at::kInt, {x.size(0)})),
                      .inverse = inverse,
                      .rows = x.size(0),
                      .heads = x.size(1),
                      .dim = x.size(2)});
}

kernels::Attention attention_of(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Segments& segments,
                                const AttentionOptions& options) {
  return {.type = type_of(q),
          .q = heads(q, q, q.sizes()),
          .k = heads(k, q, {q.size(0), k.size(1), q.size(2)}),
          .v = heads(v, q, k.sizes()),
          .q_row = q.stride(0),
          .k_row = k.stride(0),
          .v_row = v.stride(0),
          .bounds = segments.bounds.data(),
          .segments = static_cast<std::int64_t>(segments.bounds.size()) - 1,
          .longest = segments.longest,
          .heads = q.size(1),
          .kv_heads = k.size(1),
          .dim = q.size(2),
          .window = options.window,
          .scale = static_cast<float>(options.scale),
          .softcap = static_cast<float>(options.softcap)};
}

void attention_forward(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Segments& segments,
                       const AttentionOptions& options, at::Tensor& o, at::Tensor& lse) {
  const Launch launch(q);
  launch.run<kernels::AttentionForward>(kernels::cpu::attention_forward, nullptr,
                                        {.of = attention_of(q, k, v, segments, options),
                                         .o = heads(o, q, q.sizes()),
                                         .o_row = o.stride(0),
                                         .lse = floats(lse, q, {q.size(1), q.size(0)}),
                                         .lse_row = lse.stride(0)});
}

void attention_backward(const at::Tensor& d_o, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                        const at::Tensor& o, const at::Tensor& lse, const Segments& segments,
                        const AttentionOptions& options, at::Tensor& dq, at::Tensor& dk, at::Tensor& dv) {
  const Launch launch(q);
  launch.run<kernels::AttentionBackward>(kernels::cpu::attention_backward, nullptr,
                                         {.of = attention_of(q, k, v, segments, options),
                                          .d_o = heads(d_o, q, q.sizes()),
                                          .o = heads(o, q, q.sizes()),
                                          .d_o_row = d_o.stride(0),
                                          .o_row = o.stride(0),
                                          .lse = floats(lse, q, {q.size(1), q.size(0)}),
                                          .lse_row = lse.stride(0),
                                          .dq = heads(dq, q, q.sizes()),
                                          .dk = heads(dk, q, k.sizes()),
                                          .dv = heads(dv, q, k.sizes()),
                                          .dq_row = dq.stride(0),
                                          .dk_row = dk.stride(0),
                                          .dv_row = dv.stride(0)});
}

void glu_forward(Activation kind, const at::Tensor& gate, const at::Tensor& up, at::Tensor& h) {
  const Launch launch(gate);
  launch.run(kernels::cpu::glu_forward, kernels::cuda::glu_forward,
             kernels::GluForward{.type = type_of(gate),
                                 .activation = kind,
                                 .gate = activation(gate, gate, gate.sizes()),
                                 .up = activation(up, gate, gate.sizes()),
                                 .gate_row = gate.stride(0),
                                 .up_row = up.stride(0),
                                 .h = activation(h, gate, gate.sizes()),
                                 .h_row = h.stride(0),
                                 .rows = gate.size(0),
                                 .width = gate.size(1)});
}

void glu_backward(Activation kind, const at::Tensor& dh, const at::Tensor& gate, const at::Tensor& up,
                  at::Tensor& dgate, at::Tensor& dup) {
  const Launch launch(gate);
  launch.run(kernels::cpu::glu_backward, kernels::cuda::glu_backward,
             kernels::GluBackward{.type = type_of(gate),
                                  .activation = kind,
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
                                  .width = gate.size(1)});
}

void softcap(double cap, at::Tensor& x, const at::Tensor& slope) {
  const Launch launch(x);
  launch.run<kernels::Softcap>(kernels::cpu::softcap, nullptr,
                               {.type = type_of(x),
                                .cap = static_cast<float>(cap),
                                .x = activation(x, x, x.sizes()),
                                .x_row = x.stride(0),
                                .slope = slope.defined() ? activation(slope, x, x.sizes()) : nullptr,
                                .slope_row = slope.defined() ? slope.stride(0) : 0,
                                .rows = x.size(0),
                                .width = x.size(1)});
}

void cross_entropy(const at::Tensor& logits, const at::Tensor& targets, const at::Tensor& scale, at::Tensor& nll,
                   at::Tensor& correct, const at::Tensor& dlogits) {
  const Launch launch(logits);
  const std::int64_t rows = logits.size(0);
  launch.run(
      kernels::cpu::cross_entropy, kernels::cuda::cross_entropy,
      kernels::CrossEntropy{.type = type_of(logits),
                            .logits = activation(logits, logits, logits.sizes()),
                            .logits_row = logits.stride(0),
                            .targets = static_cast<const std::int64_t*>(pointer(targets, logits, at::kLong, {rows})),
                            .scale = scale.defined() ? floats(scale, logits, {rows}) : nullptr,
                            .nll = floats(nll, logits, {rows}),
                            .correct = static_cast<std::uint8_t*>(pointer(correct, logits, at::kByte, {rows})),
                            .dlogits = dlogits.defined() ? activation(dlogits, logits, logits.sizes()) : nullptr,
                            .dlogits_row = dlogits.defined() ? dlogits.stride(0) : 0,
                            .rows = rows,
                            .vocabulary = logits.size(1)});
}

// A launch over all groups and projections that share x; the arguments that forward and backward have in common.
template <typename Args>
Args adapter_args(const at::Tensor& x, const AdapterGroups& groups, std::size_t projections) {
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

kernels::AdapterWeights weights_of(const at::Tensor& a, const at::Tensor& b, const at::Tensor& x) {
  TORCH_CHECK(a.size(2) == x.size(1), "kernel: an adapter of ", a.size(2), " inputs, given ", x.size(1));
  return {.a = floats(a, x, a.sizes()),
          .b = floats(b, x, b.sizes()),
          .a_slot = a.stride(0),
          .a_row = a.stride(1),
          .b_slot = b.stride(0),
          .b_row = b.stride(1)};
}

void adapter_forward(const at::Tensor& x, const AdapterGroups& groups, std::span<const AdapterOutput> outputs) {
  const Launch launch(x);
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
  launch.run(kernels::cpu::adapter_forward, kernels::cuda::adapter_forward, args);
}

void adapter_backward(const at::Tensor& x, const AdapterGroups& groups, std::span<const AdapterOutputGradient> outputs,
                      at::Tensor& dx) {
  const Launch launch(x);
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
  launch.run(kernels::cpu::adapter_backward, kernels::cuda::adapter_backward, args);
}

double* doubles(const at::Tensor& tensor, const at::Tensor& like, std::size_t count) {
  return static_cast<double*>(pointer(tensor, like, at::kDouble, {static_cast<std::int64_t>(count)}));
}

void gradient_norms(const at::Tensor& grads, const NormPlan& plan, at::Tensor& result) {
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

void row_sums(const at::Tensor& values, std::span<const RowRange> ranges, at::Tensor& result) {
  const Launch launch(values);
  const at::Tensor list = records_on(ranges, values.device());
  launch.run(kernels::cpu::row_sums, kernels::cuda::row_sums,
             kernels::RowSums{.values = floats(values, values, values.sizes()),
                              .ranges = records<RowRange>(list),
                              .range_count = static_cast<std::int64_t>(ranges.size()),
                              .sums = doubles(result, values, static_cast<std::size_t>(result.size(0)))});
}

// All memory is taken before the launch, so it is done as a whole or not at all.
void adamw(const OptimizerState& state, std::span<const SlotUpdate> updates, const at::Tensor& norms,
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

kernels::CachedKeys cached(const CachedKeys& keys, const at::Tensor& like) {
  const std::int64_t blocks = keys.k_NGKC.size(0), groups = keys.k_NGKC.size(1), dim = keys.k_NGKC.size(2);
  TORCH_CHECK(keys.k_NGKC.is_contiguous() && keys.v_NGCK.is_contiguous(), "kernel: a cache must be contiguous");
  return {.k = activation(keys.k_NGKC, like, {blocks, groups, dim, kCacheBlock}),
          .v = activation(keys.v_NGCK, like, {blocks, groups, kCacheBlock, dim}),
          .kv_heads = groups,
          .dim = dim};
}

const std::int32_t* indices(const at::Tensor& tensor, const at::Tensor& like, at::IntArrayRef shape) {
  return static_cast<const std::int32_t*>(pointer(tensor, like, at::kInt, shape));
}

void cache_append(const at::Tensor& k, const at::Tensor& v, const CacheRows& rows, const CachedKeys& keys) {
  const Launch launch(k);
  launch.run<kernels::CacheAppend>(kernels::cpu::cache_append, nullptr,
                                   {.type = type_of(k),
                                    .to = cached(keys, k),
                                    .k = heads(k, k, k.sizes()),
                                    .v = heads(v, k, k.sizes()),
                                    .k_row = k.stride(0),
                                    .v_row = v.stride(0),
                                    .places = indices(rows.places_T, k, {k.size(0)}),
                                    .rows = k.size(0)});
}

void cached_attention(const at::Tensor& q, const CachedKeys& keys, const CacheRows& rows,
                      const AttentionOptions& options, at::Tensor& o) {
  const Launch launch(q);
  launch.run<kernels::CachedAttention>(kernels::cpu::cached_attention, nullptr,
                                       {.type = type_of(q),
                                        .from = cached(keys, q),
                                        .q = heads(q, q, q.sizes()),
                                        .q_row = q.stride(0),
                                        .tables = indices(rows.tables_SB, q, rows.tables_SB.sizes()),
                                        .table_row = rows.tables_SB.stride(0),
                                        .sequences = indices(rows.sequences_T, q, {q.size(0)}),
                                        .seen = indices(rows.seen_T, q, {q.size(0)}),
                                        .rows = q.size(0),
                                        .heads = q.size(1),
                                        .window = options.window,
                                        .longest = *std::ranges::max_element(rows.seen),
                                        .scale = static_cast<float>(options.scale),
                                        .softcap = static_cast<float>(options.softcap),
                                        .o = heads(o, q, q.sizes()),
                                        .o_row = o.stride(0)});
}

kernels::RowProduct row_product_args(const at::Tensor& x, std::int64_t outputs, const at::Tensor& bias,
                                     const at::Tensor& y, bool accumulate) {
  return {.type = type_of(x),
          .x = activation(x, x, x.sizes()),
          .x_row = x.stride(0),
          .bias = bias.defined() ? activation(bias, x, {outputs}) : nullptr,
          .y = activation(y, x, {x.size(0), outputs}),
          .y_row = y.stride(0),
          .accumulate = accumulate,
          .rows = x.size(0),
          .inputs = x.size(1),
          .outputs = outputs};
}

void row_product(const at::Tensor& x, const at::Tensor& w, const at::Tensor& bias, at::Tensor& y, bool accumulate) {
  const Launch launch(x);
  auto args = row_product_args(x, w.size(0), bias, y, accumulate);
  args.w = activation(w, x, {w.size(0), x.size(1)});
  args.w_row = w.stride(0);
  launch.run<kernels::RowProduct>(kernels::cpu::row_product, nullptr, args);
}

kernels::Packed packed(const PackedMatrix& m, const at::Tensor& like) {
  const bool nf4 = m.code == kernels::Code::nf4, doubled = m.absmax_codes.defined();
  const std::int64_t elements = m.rows * m.columns;
  const std::int64_t blocks = nf4 ? (elements + kernels::kNf4Block - 1) / kernels::kNf4Block : m.rows;
  const std::int64_t outer = doubled ? (blocks + kernels::kAbsmaxBlock - 1) / kernels::kAbsmaxBlock : blocks;
  const auto bytes = [&](const at::Tensor& tensor, at::ScalarType type, std::int64_t count) {
    return static_cast<const std::uint8_t*>(pointer(tensor, like, type, {count}));
  };
  return {.code = m.code,
          .codes = nf4 ? bytes(m.codes, at::kByte, (elements + 1) / 2) : bytes(m.codes, at::kChar, elements),
          .absmax = floats(m.absmax, like, {outer}),
          .absmax_codes = doubled ? bytes(m.absmax_codes, at::kByte, blocks) : nullptr,
          .map = doubled ? floats(m.map, like, {256}) : nullptr,
          .offset = doubled ? floats(m.offset, like, {1}) : nullptr,
          .rows = m.rows,
          .columns = m.columns};
}

void dequantize(const PackedMatrix& from, at::Tensor& w) {
  const Launch launch(w);
  TORCH_CHECK(w.is_contiguous(), "kernel: dequantised weights lie without gaps");
  launch.run<kernels::Dequantize>(
      kernels::cpu::dequantize, nullptr,
      {.type = type_of(w), .from = packed(from, w), .w = activation(w, w, {from.rows, from.columns})});
}

void packed_row_product(const at::Tensor& x, const PackedMatrix& w, const at::Tensor& bias, at::Tensor& y,
                        bool accumulate) {
  const Launch launch(x);
  TORCH_CHECK(w.columns == x.size(1), "kernel: weights of ", w.columns, " inputs, given ", x.size(1));
  const kernels::Packed from = packed(w, x);
  auto args = row_product_args(x, w.rows, bias, y, accumulate);
  args.packed = &from;
  launch.run<kernels::RowProduct>(kernels::cpu::row_product, nullptr, args);
}

void magnitude_backward(const at::Tensor& dy, const at::Tensor& z, const at::Tensor& factor,
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

constexpr Backend kAll = {rmsnorm_forward,
                          rmsnorm_backward,
                          rotary,
                          attention_forward,
                          attention_backward,
                          glu_forward,
                          glu_backward,
                          softcap,
                          cross_entropy,
                          adapter_forward,
                          adapter_backward,
                          gradient_norms,
                          row_sums,
                          adamw,
                          cache_append,
                          cached_attention,
                          row_product,
                          magnitude_backward,
                          packed_row_product,
                          dequantize};

}  // namespace by_kernel
}  // namespace

const Backend& cpu_backend() {
  return by_kernel::kAll;
}

const Backend& cuda_backend() {
  static const Backend kBackend = [] {
    Backend backend = cpu_backend();
    backend.attention_forward = flash_backend().attention_forward;
    backend.attention_backward = flash_backend().attention_backward;
    backend.softcap = composed::softcap;
    backend.magnitude_backward = composed::magnitude_backward;
    backend.cache_append = composed::cache_append;
    backend.cached_attention = composed::cached_attention;
    backend.row_product = composed::row_product;
    backend.packed_row_product = composed::packed_row_product;
    backend.dequantize = composed::dequantize;
    return backend;
  }();
  return kBackend;
}

}  // namespace finetune::ops
