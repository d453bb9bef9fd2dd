#include "engine/parameter_store.h"

#include <ATen/ATen.h>

namespace finetune {

SlotImage ParameterStore::capture(std::int64_t slot) const {
  const auto row = [&](const at::Tensor& rows) {
    return rows.select(0, slot).to(at::kCPU, rows.scalar_type(), false, true);
  };
  return {row(params_SP()), row(first_SP()), row(second_SP())};
}

void ParameterStore::restore(std::int64_t slot, const SlotImage& image) {
  params_SP().select(0, slot).copy_(image.params_P);
  first_SP().select(0, slot).copy_(image.first_P);
  second_SP().select(0, slot).copy_(image.second_P);
  grads_SP().select(0, slot).zero_();
  updated(slot);
}

void ParameterStore::copy(std::int64_t from, std::int64_t to) {
  for (const auto& rows : {params_SP(), first_SP(), second_SP()}) rows.select(0, to).copy_(rows.select(0, from));
  steps_S_.select(0, to).copy_(steps_S_.select(0, from));
  grads_SP().select(0, to).zero_();
  updated(to);
}

std::int64_t ParameterStore::optimizer_steps(std::int64_t slot) const {
  return steps_S_.select(0, slot).item<std::int64_t>();
}

void ParameterStore::set_optimizer_steps(std::int64_t slot, std::int64_t steps) {
  steps_S_.select(0, slot).fill_(steps);
}

}  // namespace finetune
