#include "engine/fits.h"

#include <algorithm>

#include "engine/admission.h"
#include "engine/precision.h"

namespace finetune {
namespace {

Fit fit_of(const Session& session, std::string name, MemoryCase one) {
  one.tokens_per_pass = tokens_of_pass(session, one);
  const auto fit_side_by_side = [&](std::int64_t slots) {
    return std::ranges::all_of(memory_needs(session, slots, one), &MemoryNeed::fits);
  };
  Fit fit{.name = std::move(name),
          .tokens_per_pass = std::max(one.tokens_per_pass, tokens_of_longest(session)),
          .trains = fit_side_by_side(1)};
  for (const MemoryNeed& need : memory_needs(session, 1, one)) {
    fit.base_bytes = need.estimate.base;
    fit.train_bytes = std::max(fit.train_bytes, need.estimate.total());
  }
  if (fit_side_by_side(2))
    fit.trials = slots_that_fit(wanted_trials(session.config, one.full),
                                [&](std::int64_t trials) { return fit_side_by_side(trials + 1); });
  return fit;
}

}  // namespace

std::vector<Fit> what_fits(const Session& session) {
  const at::ScalarType dtype = session.model.checkpoint.dtype;
  const Quantization nf4{.code = kernels::Code::nf4, .doubled = session.config.model.double_quantize},
      int8{.code = kernels::Code::int8};
  const at::ScalarType whole = session.model.full_dtype;
  const Fit full = fit_of(session, "full fine-tuning in " + dtype_name(whole), {.dtype = whole, .full = true});
  if (session.config.train.full()) return {full};
  return {fit_of(session, "LoRA over float32", {.dtype = at::kFloat}),
          fit_of(session, "LoRA over bfloat16", {.dtype = at::kBFloat16}),
          fit_of(session, "LoRA over " + quantization_name(nf4), {.dtype = dtype, .quantization = nf4}),
          fit_of(session, "LoRA over int8", {.dtype = dtype, .quantization = int8}), full};
}

}  // namespace finetune
