#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <vector>

#include "kernels/api/rounded_product.h"
#include "kernels/cpu/rounded_unit.h"
#include "kernels/cpu/table.h"

namespace finetune::kernels::cpu {
namespace {

void nothing() {}

void block_of_floats(const RoundedBlock& block) {
  table().rounded_block(block);
}

// Bits of CPUID leaf 7 that GCC 12 has no name for.
bool has_leaf7(unsigned subleaf, unsigned bit, bool in_edx) {
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid_count(7, subleaf, &a, &b, &c, &d) == 0) return false;
  return ((in_edx ? d : a) >> bit & 1) != 0;
}

// Linux gives a process the tiles when it asks for them.
bool may_use_tiles() {
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  return ::syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

bool has_avx512_bf16() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && has_leaf7(1, 5, false);
}
bool has_amx() {
  return __builtin_cpu_supports("avx512f") && has_leaf7(0, 24, true) && has_leaf7(0, 22, true) && may_use_tiles();
}

}  // namespace

const RoundedUnit& rounded_floats() {
  static constexpr RoundedUnit kUnit{"float32", nothing, nothing, block_of_floats};
  return kUnit;
}

std::span<const RoundedUnit* const> rounded_units() {
  static const std::vector<const RoundedUnit*> kUnits = [] {
    std::vector<const RoundedUnit*> units;
    if (has_amx()) units.push_back(&rounded_amx());
    if (has_avx512_bf16()) units.push_back(&rounded_avx512());
    units.push_back(&rounded_floats());
    return units;
  }();
  return kUnits;
}

const char* bfloat16_unit() {
  const RoundedUnit* best = rounded_units().front();
  return best == &rounded_floats() ? "" : best->name;
}

}  // namespace finetune::kernels::cpu
