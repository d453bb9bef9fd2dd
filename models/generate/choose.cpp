#include "models/generate/choose.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>

namespace finetune {
namespace {

bool is_drawn(const RowChoice& row) {
  return row.sampling.temperature > 0;
}

// Over the most likely tokens that stand there already.
void draw(std::span<const RowChoice> rows, const at::Tensor& logits_NV, at::Tensor& ids_N) {
  if (std::ranges::none_of(rows, is_drawn)) return;
  const at::Tensor host_NV = logits_NV.to(at::kCPU, at::kFloat).contiguous();
  at::Tensor ids = ids_N.to(at::kCPU);
  const auto* logits = host_NV.const_data_ptr<float>();
  const auto vocabulary = static_cast<std::size_t>(host_NV.size(1));
  auto* chosen = ids.mutable_data_ptr<std::int64_t>();
  at::parallel_for(0, std::ssize(rows), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const RowChoice& row = rows[static_cast<std::size_t>(i)];
      const std::span own(logits + static_cast<std::size_t>(i) * vocabulary, vocabulary);
      if (is_drawn(row)) chosen[i] = sample_token(own, row.sampling, row.token);
    }
  });
  if (!ids_N.is_cpu()) ids_N.copy_(ids);
}

template <typename To, typename From>
std::vector<To> first_of(const at::Tensor& values_N, std::size_t count) {
  const at::Tensor host = values_N.cpu();
  const auto* data = host.const_data_ptr<From>();
  return {data, data + count};
}

}  // namespace

ChosenTokens choose_tokens(const DecoderBase& base, const Pack& pack, const AdapterBank* bank,
                           DecoderWorkspace& workspace, std::span<const RowChoice> rows, bool logprobs) {
  at::Tensor ids_N = at::empty_like(pack.loss_rows_N);
  const auto options = at::TensorOptions().device(ids_N.device());
  at::Tensor nll_N = at::empty({ids_N.size(0)}, options.dtype(wide_dtype(base.embed_VD.scalar_type())));
  at::Tensor correct_N = at::empty({ids_N.size(0)}, options.dtype(at::kByte));
  next_logits(base, pack, bank, workspace, [&](std::int64_t first, const at::Tensor& logits_NV) {
    const std::int64_t count = logits_NV.size(0);
    at::Tensor ids = ids_N.narrow(0, first, count);
    at::argmax_out(ids, logits_NV, 1);
    const auto begin = std::min(rows.size(), static_cast<std::size_t>(first));
    draw(rows.subspan(begin, std::min(rows.size() - begin, static_cast<std::size_t>(count))), logits_NV, ids);
    if (!logprobs) return;
    at::Tensor nll = nll_N.narrow(0, first, count), correct = correct_N.narrow(0, first, count);
    ops::cross_entropy(logits_NV, ids, pack.scale_N.narrow(0, first, count), nll, correct, {});
  });
  ChosenTokens chosen{.ids = first_of<std::int32_t, std::int64_t>(ids_N, rows.size()), .logprobs = {}};
  if (logprobs) chosen.logprobs = first_of<float, float>((-nll_N).to(at::kFloat), rows.size());
  return chosen;
}

}  // namespace finetune
