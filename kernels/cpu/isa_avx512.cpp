#include "kernels/cpu/isa.inc"

namespace finetune::kernels::cpu {

const Table& table_avx512() {
  static constexpr Table kTable = table_named("avx512");
  return kTable;
}

}  // namespace finetune::kernels::cpu
