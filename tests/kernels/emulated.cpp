// Host memory: the kernels run on the CPU, see emulation/.
#include <cstdlib>
#include <cstring>

#include "tests/kernels/implementation.h"

namespace finetune::kernels::testing {

const Memory& memory() {
  static const Memory kMemory = {[](const void* host, std::size_t bytes) {
                                   void* copy = std::malloc(bytes > 0 ? bytes : 1);
                                   if (bytes > 0) std::memcpy(copy, host, bytes);
                                   return copy;
                                 },
                                 [](void* host, const void* device, std::size_t bytes) {
                                   if (bytes > 0) std::memcpy(host, device, bytes);
                                 },
                                 [](void* device) { std::free(device); }};
  return kMemory;
}

const char* skipped() {
  return nullptr;
}

}  // namespace finetune::kernels::testing
