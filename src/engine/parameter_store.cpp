#include "engine/parameter_store.h"

#include <ATen/ATen.h>

namespace finetune {

SlotImage ParameterStore::capture(std::int64_t slot) const {
  const auto row = [&](const at::Tensor& rows) { return rows.select(0, slot).clone(); };
  return {row(params_SP()), row(first_SP()), row(second_SP()), row(steps_S_)};
}

void ParameterStore::restore(std::int64_t slot, const SlotImage& image) {
  const auto fill = [&](const at::Tensor& rows, const at::Tensor& from) {
    rows.select(0, slot).copy_(from, /*non_blocking=*/true);
  };
  fill(params_SP(), image.params_P);
  fill(first_SP(), image.first_P);
  fill(second_SP(), image.second_P);
  fill(steps_S_, image.steps);
  grads_SP().select(0, slot).zero_();
  updated(slot);
}

void ParameterStore::copy(std::int64_t from, std::int64_t to) {
  for (const auto& rows : {params_SP(), first_SP(), second_SP()}) rows.select(0, to).copy_(rows.select(0, from));
  steps_S_.select(0, to).copy_(steps_S_.select(0, from));
  grads_SP().select(0, to).zero_();
  updated(to);
}

}  // namespace finetune
