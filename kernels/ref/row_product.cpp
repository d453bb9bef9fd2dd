#include "kernels/api/row_product.h"

#include "kernels/ref/packed.h"
#include "kernels/ref/storage.h"

namespace finetune::kernels::ref {
namespace {

double weight(const RowProduct& p, std::int64_t output, std::int64_t input) {
  return p.packed == nullptr ? read(p.type, p.w, output * p.w_row + input)
                             : packed_element(*p.packed, output * p.inputs + input);
}

}  // namespace

Status row_product(const RowProduct& p, Stream) {
  for (std::int64_t r = 0; r < p.rows; ++r) {
    for (std::int64_t o = 0; o < p.outputs; ++o) {
      double value = p.bias == nullptr ? 0 : read(p.type, p.bias, o);
      for (std::int64_t i = 0; i < p.inputs; ++i) value += read(p.type, p.x, r * p.x_row + i) * weight(p, o, i);
      const std::int64_t to = r * p.y_row + o;
      write(p.type, p.y, to, p.accumulate ? read(p.type, p.y, to) + value : value);
    }
  }
  return {};
}

}  // namespace finetune::kernels::ref
