// Attention as a composition of ATen ops. T tokens, H query heads, G key/value heads, K head_dim; in a batch B segments
// of N tokens each.
#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

#include "kernels/torch/composite.h"
#include "kernels/torch/records.h"

namespace finetune::ops {
namespace {

// The rows of a batch in tensors over the pack: next to each other, or picked by an index.
class Rows {
 public:
  Rows(const std::vector<std::int64_t>& begins, std::int64_t length, at::Device device)
      : begin_(begins.front()), batch_(static_cast<std::int64_t>(begins.size())), length_(length) {
    const bool together = begins.back() - begins.front() == (batch_ - 1) * length;  // they ascend
    if (together) return;
    const at::Tensor begins_B = records_on<std::int64_t>(begins, device).view(at::kLong);
    rows_ = (begins_B.unsqueeze(1) + at::arange(length_, begins_B.options())).flatten();
  }
  at::Tensor take_BHNK(const at::Tensor& x_THK) const { return take(x_THK, 0).transpose(1, 2); }
  at::Tensor take_BHN(const at::Tensor& x_HT) const { return take(x_HT, 1).transpose(0, 1); }
  void put_BHNK(const at::Tensor& x_BHNK, at::Tensor& to_THK) const {
    put(x_BHNK.transpose(1, 2).flatten(0, 1), 0, to_THK);
  }
  void put_BHN(const at::Tensor& x_BHN, at::Tensor& to_HT) const { put(x_BHN.transpose(0, 1).flatten(1, 2), 1, to_HT); }

 private:
  at::Tensor take(const at::Tensor& x, std::int64_t axis) const {
    const at::Tensor rows = rows_.defined() ? x.index_select(axis, rows_) : x.narrow(axis, begin_, batch_ * length_);
    return rows.unflatten(axis, {batch_, length_});
  }
  void put(const at::Tensor& x, std::int64_t axis, at::Tensor& to) const {
    if (rows_.defined())
      to.index_copy_(axis, rows_, x.to(to.scalar_type()));
    else
      to.narrow(axis, begin_, batch_ * length_).copy_(x);
  }

  std::int64_t begin_, batch_, length_;
  at::Tensor rows_;
};

// visit(rows) for batches that hold every segment with tokens once.
template <typename Visit>
void for_each_batch(const Segments& segments, std::int64_t heads, at::Device device, const Visit& visit) {
  std::map<std::int64_t, std::vector<std::int64_t>> begins_by_length;
  for (std::size_t i = 0; i + 1 < segments.bounds.size(); ++i) {
    const std::int64_t begin = segments.bounds[i], length = segments.bounds[i + 1] - begin;
    if (length > 0) begins_by_length[length].push_back(begin);
  }
  for (const auto& [length, begins] : begins_by_length) {
    const auto most = static_cast<std::size_t>(std::max<std::int64_t>(1, kScoresAtOnce / (heads * length * length)));
    for (std::size_t first = 0; first < begins.size(); first += most) {
      const std::size_t last = std::min(first + most, begins.size());
      visit(Rows(
          {begins.begin() + static_cast<std::ptrdiff_t>(first), begins.begin() + static_cast<std::ptrdiff_t>(last)},
          length, device));
    }
  }
}

at::Tensor hidden_NN(std::int64_t length, std::int64_t window, at::Device device) {
  const at::Tensor from = at::arange(length, at::TensorOptions().device(device)).unsqueeze(1), to = from.t();
  const at::Tensor later = to.gt(from);
  return window > 0 ? later.logical_or((from - to).ge(window)) : later;
}

// What the softcap makes of tanh's slope is written to `slope_BHNN` where it is not null.
at::Tensor scores_BHNN(const at::Tensor& q_BHNK, const at::Tensor& k_BHNK, const AttentionOptions& options,
                       at::Tensor* slope_BHNN = nullptr) {
  at::Tensor scores = at::matmul(q_BHNK, k_BHNK.transpose(2, 3)) * options.scale;
  if (options.softcap > 0) {
    scores.div_(options.softcap).tanh_();
    if (slope_BHNN != nullptr) *slope_BHNN = 1 - scores.square();
    scores.mul_(options.softcap);
  }
  return scores.masked_fill_(hidden_NN(q_BHNK.size(2), options.window, q_BHNK.device()), -INFINITY);
}

// A key/value head for each query head that shares it, and the sum over these.
at::Tensor repeated_BHNK(const at::Tensor& x_BGNK, std::int64_t heads) {
  return x_BGNK.repeat_interleave(heads / x_BGNK.size(1), 1);
}
at::Tensor summed_BGNK(const at::Tensor& x_BHNK, std::int64_t groups) {
  return x_BHNK.unflatten(1, {groups, x_BHNK.size(1) / groups}).sum(2);
}

}  // namespace

void composed::attention_forward(const at::Tensor& q_THK, const at::Tensor& k_TGK, const at::Tensor& v_TGK,
                                 const Segments& segments, const AttentionOptions& options, at::Tensor& o_THK,
                                 at::Tensor& lse_HT) {
  const std::int64_t heads = q_THK.size(1);
  const auto type = wide(q_THK);
  for_each_batch(segments, heads, q_THK.device(), [&](const Rows& rows) {
    const auto take = [&](const at::Tensor& x) { return rows.take_BHNK(x).to(type); };
    const at::Tensor scores = scores_BHNN(take(q_THK), repeated_BHNK(take(k_TGK), heads), options);
    const at::Tensor lse_BHN = scores.logsumexp(-1);
    rows.put_BHN(lse_BHN, lse_HT);
    rows.put_BHNK(at::matmul((scores - lse_BHN.unsqueeze(-1)).exp_(), repeated_BHNK(take(v_TGK), heads)), o_THK);
  });
}

void composed::attention_backward(const at::Tensor& do_THK, const at::Tensor& q_THK, const at::Tensor& k_TGK,
                                  const at::Tensor& v_TGK, const at::Tensor& o_THK, const at::Tensor& lse_HT,
                                  const Segments& segments, const AttentionOptions& options, at::Tensor& dq_THK,
                                  at::Tensor& dk_TGK, at::Tensor& dv_TGK) {
  const std::int64_t heads = q_THK.size(1), groups = k_TGK.size(1);
  const auto type = wide(q_THK);
  for_each_batch(segments, heads, q_THK.device(), [&](const Rows& rows) {
    const auto take = [&](const at::Tensor& x) { return rows.take_BHNK(x).to(type); };
    const at::Tensor q = take(q_THK), k = repeated_BHNK(take(k_TGK), heads), v = repeated_BHNK(take(v_TGK), heads),
                     d = take(do_THK), o = take(o_THK);
    at::Tensor slope;
    const at::Tensor p = scores_BHNN(q, k, options, &slope).sub_(rows.take_BHN(lse_HT).to(type).unsqueeze(-1)).exp_();
    const at::Tensor ds = p * (at::matmul(d, v.transpose(2, 3)) - (d * o).sum(-1, true)) * options.scale;
    if (slope.defined()) ds.mul_(slope);
    rows.put_BHNK(at::matmul(ds, k), dq_THK);
    rows.put_BHNK(summed_BGNK(at::matmul(ds.transpose(2, 3), q), groups), dk_TGK);
    rows.put_BHNK(summed_BGNK(at::matmul(p.transpose(2, 3), d), groups), dv_TGK);
  });
}

}  // namespace finetune::ops
