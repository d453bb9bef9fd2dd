#include "kernels/api/row_product.h"

#include <algorithm>

#include "kernels/cpu/parallel.h"
#include "kernels/cpu/table.h"

namespace finetune::kernels::cpu {

Status row_product(const RowProduct& p, Stream stream) {
  constexpr std::int64_t kPanel = 32;  // outputs: a panel of the widest registers
  if (p.type != Type::f32) return kFloat32Only;
  if (p.rows == 0) return {};
  in_parallel(stream, (p.outputs + kPanel - 1) / kPanel, kPanel * p.inputs * p.rows / 4,
              [&](std::int64_t first, std::int64_t last) {
                table().row_product(p, first * kPanel, std::min(p.outputs, last * kPanel));
              });
  return {};
}

}  // namespace finetune::kernels::cpu
