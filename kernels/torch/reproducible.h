// Sums in a fixed order on GPUs: the same bits in every run.
#pragma once

namespace finetune::ops {

/// While one lives, LibTorch's backward of flash attention sums in a fixed order. It asks a switch of the whole
/// process, which the first sets and the last resets; any thread.
class ReproducibleSums {
 public:
  ReproducibleSums();
  ~ReproducibleSums();
  ReproducibleSums(const ReproducibleSums&) = delete;
  ReproducibleSums& operator=(const ReproducibleSums&) = delete;
};

}  // namespace finetune::ops
