// The kernels for one instruction set; the flags are in CMakeLists.txt.
#include <cstddef>
#include <cstdint>

#include "kernels/cpu/isa.h"

namespace finetune::cpu {
namespace {

// Each uses what stands before it.
// clang-format off
#include "kernels/cpu/vector.inc"
#include "kernels/cpu/product.inc"
#include "kernels/cpu/rows.inc"
#include "kernels/cpu/attention.inc"
// clang-format on

}  // namespace

const Table& table_avx2() {
  static const Table kTable = {"avx2",          product,       rmsnorm_forward, rmsnorm_backward,  swiglu_forward,
                               swiglu_backward, rotary,        cross_entropy,   attention_forward, attention_backward,
                               adamw,           sum_of_squares};
  return kTable;
}

}  // namespace finetune::cpu
