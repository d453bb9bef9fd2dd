// How many processors the calling thread's operations use.
#pragma once

namespace finetune {

/// From now on operations that this thread calls run on `count` threads: ATen's own, OpenMP's and MKL's. Other threads
/// keep theirs. Changes no bit of any result (tests/kernels/test_products.cpp).
void set_thread_count(int count);

/// While one lives, products of LibTorch's BLAS that this thread calls run on this thread alone.
class ProductsOnOneThread {
 public:
  ProductsOnOneThread();
  ~ProductsOnOneThread();
  ProductsOnOneThread(const ProductsOnOneThread&) = delete;
  ProductsOnOneThread& operator=(const ProductsOnOneThread&) = delete;

 private:
  int before_ = 0;
};

}  // namespace finetune
