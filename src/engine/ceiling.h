// What a machine's processors can do at the most, measured.
#pragma once

#include <c10/core/ScalarType.h>

#include "engine/profile_table.h"

namespace finetune {

/// With `threads` threads at once, in some tens of milliseconds: a square product of kCeilingSize in this dtype, and a
/// copy of memory that no second-level cache holds. The best of a few tries counts.
Ceiling measure_ceiling(int threads, at::ScalarType dtype);

}  // namespace finetune
