#include "kernels/api/rounded_product.h"

#include "kernels/ref/storage.h"

namespace finetune::kernels::ref {

Status rounded_product(const RoundedProduct& p, Stream) {
  for (std::int64_t r = 0; r < p.rows; ++r) {
    for (std::int64_t o = 0; o < p.outputs; ++o) {
      float& y = p.y[r * p.y_row + o];
      double value = p.accumulate ? static_cast<double>(y) : 0.0;
      for (std::int64_t i = 0; i < p.inputs; ++i) {
        const std::int64_t at = p.by_inputs ? i * p.w_row + o : o * p.w_row + i;
        value += rounded(Type::bf16, static_cast<double>(p.x[r * p.x_row + i])) * read(Type::bf16, p.w, at);
      }
      y = static_cast<float>(value);
    }
  }
  return {};
}

}  // namespace finetune::kernels::ref
