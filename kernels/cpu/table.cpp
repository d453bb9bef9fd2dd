#include "kernels/cpu/table.h"

#include "kernels/api/kernel.h"

namespace finetune::kernels::cpu {

const Table& table() {
  static const Table& kBest = [&]() -> const Table& {
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq")) return table_avx512();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return table_avx2();
    return table_base();
  }();
  return kBest;
}

const char* instruction_set() {
  return table().name;
}

}  // namespace finetune::kernels::cpu
