// The projections of a block as Linear values: weights, gradients and the adapters of the pack's trials.
#pragma once

#include <initializer_list>

#include "models/blocks/context.h"
#include "models/blocks/linear.h"

namespace finetune {

/// Of projections that share an input, in the order of their rows.
Linear projections(const BlockContext& context, std::initializer_list<Projection> stacked);

}  // namespace finetune
