#include "kernels/cpu/table.h"

#include "kernels/cpu/isa.h"

namespace finetune::cpu {

const Table& table() {
  static const Table& kBest = [&]() -> const Table& {
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq")) return table_avx512();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return table_avx2();
    return table_base();
  }();
  return kBest;
}

std::int64_t attention_scratch(std::int64_t tokens, std::int64_t dim) {
  const std::int64_t padded = (tokens + 15) / 16 * 16;
  return 2 * dim * padded + 2 * 32 * (padded + 16);
}

}  // namespace finetune::cpu
