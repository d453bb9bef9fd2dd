// The product of kernels/api/rounded_product.h by a unit of choice.
#pragma once

#include "kernels/api/rounded_product.h"
#include "kernels/cpu/rounded_unit.h"

namespace finetune::kernels::cpu {

Status rounded_product_with(const RoundedUnit& unit, const RoundedProduct& args, Stream stream);

}  // namespace finetune::kernels::cpu
