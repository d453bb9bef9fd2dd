#include "kernels/torch/threads.h"

#include <ATen/Parallel.h>
#include <omp.h>

// LibTorch's copy of MKL exports it; at::set_num_threads would set every thread's. Absent where LibTorch has another
// BLAS.
extern "C" __attribute__((weak)) int MKL_Set_Num_Threads_Local(int count);

namespace finetune {

void set_thread_count(int count) {
  at::get_num_threads();  // a thread's first call of ATen sets the number itself
  if (omp_get_max_threads() != count) omp_set_num_threads(count);
  if (MKL_Set_Num_Threads_Local != nullptr) MKL_Set_Num_Threads_Local(count);
}

ProductsOnOneThread::ProductsOnOneThread() {
  if (MKL_Set_Num_Threads_Local != nullptr) before_ = MKL_Set_Num_Threads_Local(1);
}
ProductsOnOneThread::~ProductsOnOneThread() {
  if (MKL_Set_Num_Threads_Local != nullptr) MKL_Set_Num_Threads_Local(before_);
}

}  // namespace finetune
