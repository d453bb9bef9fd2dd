// How many processors the calling thread's operations use.
#pragma once

namespace finetune {

/// From now on operations that this thread calls run on `count` threads: ATen's own, OpenMP's and MKL's. Other threads
/// keep theirs. Changes no bit of any result (tests/kernels/test_products.cpp).
void set_thread_count(int count);

}  // namespace finetune
