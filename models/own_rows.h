// Rows of a pass that belong to a trial with a copy of its own of a module (models/saved_modules.h). Torch-free.
#pragma once

#include <cstdint>

namespace finetune {

/// Tokens, or loss rows, [begin, end) of a trial in that slot.
struct OwnRows {
  std::int64_t begin = 0, end = 0, slot = 0;
};

}  // namespace finetune
