#include "models/head.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "kernels/torch/profile.h"
#include "models/blocks/norm.h"

namespace finetune {
namespace {

enum HeadBuffer : int {
  kRows = kFirstHeadBuffer,
  kHeadNormed,
  kRstd,
  kLogits,
  kSlope,
  kHeadDNormed,
  kOwnHead,
  kWindow,
  kHeadBuffers
};
static_assert(kHeadBuffers <= kFirstDecoderBuffer);

constexpr std::int64_t kFewestRows = 64;  // 8 rows for each of 8 threads: the product runs at full rate

std::int64_t rows_per_chunk(std::int64_t vocabulary, at::Device device) {
  return std::max(kFewestRows, ops::logits_per_chunk(device) / vocabulary);
}

// Consecutive loss rows that have one output matrix: a trial's own, or, of all between, the base's.
struct HeadPart {
  std::int64_t begin = 0, end = 0;
  at::Tensor weight_VD, dweight_VD;  // dweight in fp32; undefined where it is frozen
};

// Rows that are computed at once: those in a product, and which of them are meant. A product of few rows has other bits
// than one of many, so it takes some of the neighbours' with it.
struct HeadChunk {
  std::int64_t begin = 0, count = 0;
  std::int64_t window_begin = 0, window = 0;

  at::Tensor rows(const at::Tensor& x) const { return x.narrow(0, begin, count); }
  at::Tensor window_rows(const at::Tensor& x) const { return x.narrow(0, window_begin, window); }
  /// Of what was computed for the window.
  at::Tensor meant(const at::Tensor& y) const { return y.defined() ? y.narrow(0, begin - window_begin, count) : y; }
};

std::vector<HeadChunk> chunks_of(const HeadPart& part, std::int64_t rows, std::int64_t most, std::int64_t fewest) {
  std::vector<HeadChunk> chunks;
  const std::int64_t own = part.end - part.begin, count = (own + most - 1) / most;
  for (std::int64_t i = 0; i < count; ++i) {
    HeadChunk& chunk = chunks.emplace_back();
    chunk.begin = part.begin + own * i / count;
    chunk.count = part.begin + own * (i + 1) / count - chunk.begin;
    chunk.window = std::min(rows, std::max(chunk.count, fewest));
    chunk.window_begin = std::min(chunk.begin, rows - chunk.window);
  }
  return chunks;
}

// In the dtype of the base's, in which a trial's own is not.
at::Tensor own_head(const at::Tensor& head_VD, const at::Tensor& like, DecoderWorkspace& workspace) {
  if (head_VD.scalar_type() == like.scalar_type()) return head_VD;
  at::Tensor copy = workspace.get(kOwnHead, 0, head_VD.size(0), head_VD.size(1), like.scalar_type(), like.device());
  return copy.copy_(head_VD);
}

struct Head {
  const DecoderBase& base;
  const Pack& pack;
  Trainables trainables;
  DecoderWorkspace& workspace;
  bool by_row = false;  ///< ops::row_product: few rows, or many

  Norm norm() const {
    return {base.final_norm_D, trainables.full ? trainables.full->final_norm_D : at::Tensor(), base.options};
  }
  double softcap() const { return base.options.logit_softcap; }

  /// visit(part) for each in order; its weights stay valid until the next.
  template <typename Visit>
  void for_each_part(const Visit& visit) const {
    std::int64_t at = 0;
    const auto visit_base = [&](std::int64_t end) {
      if (end > at) visit(HeadPart{at, end, base.head_VD, trainables.full ? trainables.full->head_VD : at::Tensor()});
    };
    for (const OwnRows& own : pack.own_heads) {
      visit_base(own.begin);
      if (own.end > own.begin)
        visit(HeadPart{own.begin, own.end, own_head(trainables.bank->head_VD(own.slot), base.head_VD, workspace),
                       trainables.bank->grad_head_VD(own.slot)});
      at = own.end;
    }
    visit_base(pack.loss_rows_N.size(0));
  }

  /// Writes the slope of the softcap, which backward needs, where it is defined.
  void forward(const HeadPart& part, const at::Tensor& normed_ND, at::Tensor& logits_NV,
               const at::Tensor& slope_NV) const {
    if (by_row)
      ops::row_product(normed_ND, part.weight_VD, {}, logits_NV, false);
    else
      ops::product(normed_ND, part.weight_VD.t(), logits_NV, false);
    if (base.options.logit_scale != 1) logits_NV.mul_(base.options.logit_scale);
    if (softcap() > 0) ops::softcap(softcap(), logits_NV, slope_NV);
  }

  /// Writes over dlogits, which are those of the chunk's window.
  void backward(const HeadPart& part, const HeadChunk& chunk, const at::Tensor& normed_ND, at::Tensor& dlogits,
                const at::Tensor& slope, const at::Tensor& dnormed_ND) const {
    if (slope.defined()) dlogits.mul_(slope);
    if (base.options.logit_scale != 1) dlogits.mul_(base.options.logit_scale);
    const bool alone = chunk.window == chunk.count;
    at::Tensor dnormed =
        alone ? chunk.rows(dnormed_ND)
              : workspace.get(kWindow, 0, chunk.window, normed_ND.size(1), normed_ND.scalar_type(), normed_ND.device());
    ops::product(dlogits, part.weight_VD, dnormed, false);
    if (!alone) chunk.rows(dnormed_ND).copy_(chunk.meant(dnormed));
    at::Tensor dweight_VD = part.dweight_VD;
    if (dweight_VD.defined()) ops::add_weight_gradient(chunk.meant(dlogits), chunk.rows(normed_ND), dweight_VD);
  }
};

struct HeadRows {
  at::Tensor x_ND, normed_ND, rstd_N;
};

HeadRows normed_rows(const Head& head, const at::Tensor& x_TD) {
  const std::int64_t rows = head.pack.loss_rows_N.size(0), width = head.base.options.width;
  const auto get = [&](int name, std::int64_t columns, at::ScalarType type) {
    return head.workspace.get(name, 0, rows, columns, type, x_TD.device());
  };
  HeadRows last{get(kRows, width, x_TD.scalar_type()), get(kHeadNormed, width, x_TD.scalar_type()),
                get(kRstd, 1, wide_dtype(x_TD.scalar_type())).flatten()};
  at::index_select_out(last.x_ND, x_TD, 0, head.pack.loss_rows_N);
  head.norm().forward(last.x_ND, last.normed_ND, last.rstd_N);
  return last;
}

// Calls work(part, chunk, logits, slope) for even chunks of the rows; logits, of the chunk's window, are computed, and
// may be overwritten. `trains`: with what Head::backward needs.
template <typename Work>
void for_each_chunk(const Head& head, const at::Tensor& normed_ND, bool trains, const Work& work) {
  const std::int64_t rows = normed_ND.size(0), vocabulary = head.base.head_VD.size(0);
  const std::int64_t most = rows_per_chunk(vocabulary, normed_ND.device());
  const auto buffer = [&](int name) {
    return head.workspace.get(name, 0, std::min(most, rows), vocabulary, normed_ND.scalar_type(), normed_ND.device());
  };
  const at::Tensor all_logits = buffer(kLogits),
                   all_slopes = trains && head.softcap() > 0 ? buffer(kSlope) : at::Tensor();
  const std::int64_t fewest = head.by_row ? 1 : ops::fewest_product_rows(normed_ND.device());
  head.for_each_part([&](const HeadPart& part) {
    for (const HeadChunk& chunk : chunks_of(part, rows, most, fewest)) {
      at::Tensor logits = all_logits.narrow(0, 0, chunk.window);
      const at::Tensor slope = all_slopes.defined() ? all_slopes.narrow(0, 0, chunk.window) : at::Tensor();
      head.forward(part, chunk.window_rows(normed_ND), logits, slope);
      work(part, chunk, logits, slope);
    }
  });
}

// The rows' losses, and over the logits their gradient where it is wanted.
void compute_losses(const Pack& pack, const HeadChunk& chunk, const at::Tensor& scale_N, const at::Tensor& logits,
                    const at::Tensor& dlogits, PackLosses& losses) {
  at::Tensor nll = chunk.rows(losses.nll_N), correct = chunk.rows(losses.correct_N);
  ops::cross_entropy(logits, chunk.rows(pack.targets_N), chunk.rows(scale_N), nll, correct, dlogits);
}

// Losses of all rows, without gradients.
void compute_losses(const Head& head, const HeadRows& last, PackLosses& losses) {
  for_each_chunk(head, last.normed_ND, false,
                 [&](const HeadPart&, const HeadChunk& chunk, const at::Tensor& logits, const at::Tensor&) {
                   compute_losses(head.pack, chunk, head.pack.scale_N, chunk.meant(logits), {}, losses);
                 });
}

PackLosses empty_losses(const Pack& pack, const at::Tensor& x_TD) {
  const auto options = at::TensorOptions().device(x_TD.device());
  return {at::empty({pack.loss_rows_N.size(0)}, options.dtype(wide_dtype(x_TD.scalar_type()))),
          at::empty({pack.loss_rows_N.size(0)}, options.dtype(at::kByte))};
}

}  // namespace

PackLosses head_losses(const DecoderBase& base, const Pack& pack, const at::Tensor& x_TD, const AdapterBank* bank,
                       DecoderWorkspace& workspace) {
  const ops::Timed timed(ops::Part::head);
  PackLosses losses = empty_losses(pack, x_TD);
  if (pack.loss_rows_N.size(0) == 0) return losses;
  const Head head{base, pack, {.bank = bank}, workspace};
  compute_losses(head, normed_rows(head, x_TD), losses);
  return losses;
}

void head_next_logits(const DecoderBase& base, const Pack& pack, const at::Tensor& x_TD, const AdapterBank* bank,
                      DecoderWorkspace& workspace, const TakeLogits& take) {
  const Head head{base, pack, {.bank = bank}, workspace, true};
  for_each_chunk(head, normed_rows(head, x_TD).normed_ND, false,
                 [&](const HeadPart&, const HeadChunk& chunk, const at::Tensor& logits, const at::Tensor&) {
                   take(chunk.begin, chunk.meant(logits));
                 });
}

PackLosses head_losses_backward(const DecoderBase& base, const Pack& pack, const at::Tensor& x_TD,
                                const Objective& objective, const Trainables& trainables, DecoderWorkspace& workspace,
                                at::Tensor& dx_TD) {
  const ops::Timed timed(ops::Part::head);
  PackLosses losses = empty_losses(pack, x_TD);
  dx_TD.zero_();
  if (pack.loss_rows_N.size(0) == 0) return losses;
  const Head head{base, pack, trainables, workspace};
  const HeadRows last = normed_rows(head, x_TD);
  at::Tensor weight_N = objective.weights(pack, nullptr);
  if (!weight_N.defined()) {
    compute_losses(head, last, losses);
    weight_N = objective.weights(pack, &losses);
  }
  at::Tensor dnormed_ND =
      workspace.get(kHeadDNormed, 0, pack.loss_rows_N.size(0), base.options.width, x_TD.scalar_type(), x_TD.device());
  for_each_chunk(head, last.normed_ND, true,
                 [&](const HeadPart& part, const HeadChunk& chunk, at::Tensor& logits, const at::Tensor& slope) {
                   const at::Tensor meant = chunk.meant(logits);
                   compute_losses(pack, chunk, weight_N, meant, meant, losses);
                   head.backward(part, chunk, last.normed_ND, logits, slope, dnormed_ND);
                 });
  at::Tensor dx_ND = dnormed_ND;  // the norm's backward is row by row, so it may write over its input
  head.norm().backward(dnormed_ND, last.x_ND, last.rstd_N, dx_ND, false);
  ops::add_rows(pack.loss_rows_N, dx_ND, dx_TD);  // a row padded in twice carries gradient zero
  return losses;
}

}  // namespace finetune
