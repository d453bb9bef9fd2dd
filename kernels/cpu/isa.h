// One table per instruction set the kernels are compiled for.
#pragma once

#include "kernels/cpu/table.h"

namespace finetune::cpu {

const Table& table_base();
const Table& table_avx2();
const Table& table_avx512();

}  // namespace finetune::cpu
