#include "engine/out_of_memory.h"

#include <algorithm>
#include <array>

namespace finetune {

bool says_out_of_memory(std::string_view message) {
  constexpr std::array<std::string_view, 6> kTexts = {
      "out of memory",                  // CUDA error 2, of any call
      "CUBLAS_STATUS_ALLOC_FAILED",     //
      "CUBLAS_STATUS_NOT_INITIALIZED",  // a handle could not be made
      "CUDNN_STATUS_ALLOC_FAILED",      //
      "CUDNN_STATUS_NOT_INITIALIZED",   //
      "DefaultCPUAllocator: ",          // "can't allocate memory" and "not enough memory"
  };
  return std::ranges::any_of(kTexts, [&](std::string_view text) { return message.find(text) != message.npos; });
}

}  // namespace finetune
