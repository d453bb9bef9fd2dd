// Where kernels are emulated, they run on any device whose memory is the processor's.
#include "kernels/api/kernel.h"

namespace finetune::kernels::cuda {

Status available(int) {
  return {};
}

}  // namespace finetune::kernels::cuda
