// Operations that may have a kernel of ours, by the names under which run.kernels lists them: in the order of
// ops::Operation (kernels/torch/backend.h).
#pragma once

namespace finetune {

inline constexpr const char* kOperationNames[] = {"rmsnorm", "rotary",          "attention", "glu",      "entropy",
                                                  "adapter", "dropped_adapter", "optimizer", "decoding", "unpacking"};

}  // namespace finetune
