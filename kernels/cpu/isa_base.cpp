#include "kernels/cpu/isa.inc"

namespace finetune::kernels::cpu {

const Table& table_base() {
  static constexpr Table kTable = table_named("base");
  return kTable;
}

}  // namespace finetune::kernels::cpu
