#include "kernels/cpu/isa.inc"

namespace finetune::kernels::cpu {

const Table& table_avx2() {
  static constexpr Table kTable = table_named("avx2");
  return kTable;
}

}  // namespace finetune::kernels::cpu
