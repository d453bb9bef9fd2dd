#include "models/head.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "models/blocks/linear.h"
#include "models/blocks/norm.h"

namespace finetune {
namespace {

enum HeadBuffer : int { kRows = kFirstHeadBuffer, kHeadNormed, kRstd, kLogits, kSlope, kHeadDNormed, kHeadBuffers };
static_assert(kHeadBuffers <= kFirstDecoderBuffer);

constexpr std::int64_t kFewestRows = 64;  // 8 rows for each of 8 threads: the product runs at full rate

std::int64_t rows_per_chunk(std::int64_t vocabulary, at::Device device) {
  return std::max(kFewestRows, ops::logits_per_chunk(device) / vocabulary);
}

struct Head {
  Norm norm;
  Linear linear;
  double logit_scale = 1, softcap = 0;

  /// Writes the slope of the softcap, which backward needs, where it is defined.
  void forward(const at::Tensor& normed_ND, at::Tensor& logits_NV, const at::Tensor& slope_NV) const {
    linear.forward(normed_ND, logits_NV, false);
    if (logit_scale != 1) logits_NV.mul_(logit_scale);
    if (softcap > 0) ops::softcap(softcap, logits_NV, slope_NV);
  }
  /// Writes over dlogits.
  void backward(const at::Tensor& normed_ND, at::Tensor& dlogits_NV, const at::Tensor& slope_NV,
                const at::Tensor& dnormed_ND) const {
    if (slope_NV.defined()) dlogits_NV.mul_(slope_NV);
    if (logit_scale != 1) dlogits_NV.mul_(logit_scale);
    linear.backward(normed_ND, dlogits_NV, dnormed_ND);
  }
};

Head head_of(const DecoderBase& base, const FullGradients* full) {
  return {.norm = {base.final_norm_D, full ? full->final_norm_D : at::Tensor(), base.options},
          .linear = {.weight_OI = base.head_VD, .dweight_OI = full ? full->head_VD : at::Tensor()},
          .logit_scale = base.options.logit_scale,
          .softcap = base.options.logit_softcap};
}

struct HeadRows {
  at::Tensor x_ND, normed_ND, rstd_N;
};

HeadRows normed_rows(const DecoderBase& base, const Norm& norm, const Pack& pack, const at::Tensor& x_TD,
                     DecoderWorkspace& workspace) {
  const std::int64_t rows = pack.loss_rows_N.size(0), width = base.options.width;
  const auto get = [&](int name, std::int64_t columns, at::ScalarType type) {
    return workspace.get(name, 0, rows, columns, type, x_TD.device());
  };
  HeadRows last{get(kRows, width, x_TD.scalar_type()), get(kHeadNormed, width, x_TD.scalar_type()),
                get(kRstd, 1, wide_dtype(x_TD.scalar_type())).flatten()};
  at::index_select_out(last.x_ND, x_TD, 0, pack.loss_rows_N);
  norm.forward(last.x_ND, last.normed_ND, last.rstd_N);
  return last;
}

// Calls work(first row, rows, logits, slope) for even chunks of the rows; logits are computed, and may be overwritten.
// `trains`: with what Head::backward needs.
template <typename Work>
void for_each_chunk(const Head& head, const at::Tensor& normed_ND, bool trains, DecoderWorkspace& workspace,
                    const Work& work) {
  const std::int64_t rows = normed_ND.size(0), vocabulary = head.linear.weight_OI.size(0);
  const std::int64_t most = rows_per_chunk(vocabulary, normed_ND.device()), chunks = (rows + most - 1) / most;
  const auto buffer = [&](int name) {
    return workspace.get(name, 0, std::min(most, rows), vocabulary, normed_ND.scalar_type(), normed_ND.device());
  };
  const at::Tensor all_logits = buffer(kLogits),
                   all_slopes = trains && head.softcap > 0 ? buffer(kSlope) : at::Tensor();
  for (std::int64_t chunk = 0; chunk < chunks; ++chunk) {
    const std::int64_t first = rows * chunk / chunks, count = rows * (chunk + 1) / chunks - first;
    at::Tensor logits = all_logits.narrow(0, 0, count);
    const at::Tensor slope = all_slopes.defined() ? all_slopes.narrow(0, 0, count) : at::Tensor();
    head.forward(normed_ND.narrow(0, first, count), logits, slope);
    work(first, count, logits, slope);
  }
}

// Losses of all rows, without gradients.
void compute_losses(const Head& head, const HeadRows& last, const Pack& pack, DecoderWorkspace& workspace,
                    PackLosses& losses) {
  for_each_chunk(head, last.normed_ND, false, workspace,
                 [&](std::int64_t first, std::int64_t count, at::Tensor& logits, const at::Tensor&) {
                   at::Tensor nll = losses.nll_N.narrow(0, first, count),
                              correct = losses.correct_N.narrow(0, first, count);
                   ops::cross_entropy(logits, pack.targets_N.narrow(0, first, count),
                                      pack.scale_N.narrow(0, first, count), nll, correct, at::Tensor());
                 });
}

PackLosses empty_losses(const Pack& pack, const at::Tensor& x_TD) {
  const auto options = at::TensorOptions().device(x_TD.device());
  return {at::empty({pack.loss_rows_N.size(0)}, options.dtype(wide_dtype(x_TD.scalar_type()))),
          at::empty({pack.loss_rows_N.size(0)}, options.dtype(at::kByte))};
}

}  // namespace

PackLosses head_losses(const DecoderBase& base, const Pack& pack, const at::Tensor& x_TD, DecoderWorkspace& workspace) {
  PackLosses losses = empty_losses(pack, x_TD);
  if (pack.loss_rows_N.size(0) == 0) return losses;
  const Head head = head_of(base, nullptr);
  compute_losses(head, normed_rows(base, head.norm, pack, x_TD, workspace), pack, workspace, losses);
  return losses;
}

at::Tensor head_next_tokens(const DecoderBase& base, const Pack& pack, const at::Tensor& x_TD,
                            DecoderWorkspace& workspace) {
  Head head = head_of(base, nullptr);
  head.linear.by_row = true;  // few rows, or many
  const HeadRows last = normed_rows(base, head.norm, pack, x_TD, workspace);
  at::Tensor ids_N = at::empty({pack.loss_rows_N.size(0)}, pack.loss_rows_N.options());
  for_each_chunk(head, last.normed_ND, false, workspace,
                 [&](std::int64_t first, std::int64_t count, at::Tensor& logits, const at::Tensor&) {
                   at::Tensor ids = ids_N.narrow(0, first, count);
                   at::argmax_out(ids, logits, 1);
                 });
  return ids_N;
}

PackLosses head_losses_backward(const DecoderBase& base, const Pack& pack, const at::Tensor& x_TD,
                                const Objective& objective, FullGradients* full, DecoderWorkspace& workspace,
                                at::Tensor& dx_TD) {
  PackLosses losses = empty_losses(pack, x_TD);
  dx_TD.zero_();
  if (pack.loss_rows_N.size(0) == 0) return losses;
  const Head head = head_of(base, full);
  const HeadRows last = normed_rows(base, head.norm, pack, x_TD, workspace);
  at::Tensor weight_N = objective.weights(pack, nullptr);
  if (!weight_N.defined()) {
    compute_losses(head, last, pack, workspace, losses);
    weight_N = objective.weights(pack, &losses);
  }
  at::Tensor dnormed_ND =
      workspace.get(kHeadDNormed, 0, pack.loss_rows_N.size(0), base.options.width, x_TD.scalar_type(), x_TD.device());
  for_each_chunk(
      head, last.normed_ND, true, workspace,
      [&](std::int64_t first, std::int64_t count, at::Tensor& logits, const at::Tensor& slope) {
        at::Tensor nll = losses.nll_N.narrow(0, first, count), correct = losses.correct_N.narrow(0, first, count);
        ops::cross_entropy(logits, pack.targets_N.narrow(0, first, count), weight_N.narrow(0, first, count), nll,
                           correct, logits);
        head.backward(last.normed_ND.narrow(0, first, count), logits, slope, dnormed_ND.narrow(0, first, count));
      });
  at::Tensor dx_ND = dnormed_ND;  // the norm's backward is row by row, so it may write over its input
  head.norm.backward(dnormed_ND, last.x_ND, last.rstd_N, dx_ND, false);
  ops::add_rows(pack.loss_rows_N, dx_ND, dx_TD);  // a row padded in twice carries gradient zero
  return losses;
}

}  // namespace finetune
