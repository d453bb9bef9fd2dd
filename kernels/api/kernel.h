// What every kernel family shares. A family is one header here, declared once for each implementation: `ref` (plain
// C++, sums in double: the oracle of the tests), `cpu` (float32 alone) and `cuda` (kernels/cuda, or kernels/none in a
// program built without CUDA). All take the same struct of pointers, sizes and scalars. Where one is not declared it
// has none: kernels/torch composes ATen's operations there.
//
// Rules of all families. Every pointer is memory of the implementation's own side (device for cuda, else host),
// lists of slots and groups included, so what a tuner may change never needs a new launch plan. Strides are in
// elements, between rows; elements of a row are contiguous. cuda functions only enqueue on `stream`: no allocation, no
// synchronisation, no host copy, no floating-point atomics; a result is the same bits in every run, whatever the number
// of threads, and a trial's numbers do not depend on who else is in the call. Sizes of zero are legal and do nothing.
#pragma once

#include <cstdint>

namespace finetune::kernels {

/// Storage of activations. Arithmetic is fp32 (ref: double), rounded to the storage type where the composition of ATen
/// ops in kernels/torch rounds.
enum class Type : std::int32_t { f32, bf16 };

/// Calls work(context, begin, end) for parts of [0, count) that cover it once, of `grain` items or more, on the threads
/// that the caller has.
using Parallel = void (*)(std::int64_t count, std::int64_t grain,
                          void (*work)(const void* context, std::int64_t begin, std::int64_t end), const void* context);

/// Where a call runs; ref ignores it.
struct Stream {
  void* handle = nullptr;       ///< cuda: a cudaStream_t
  Parallel parallel = nullptr;  ///< cpu; null = on the calling thread alone
};

/// What became of a call. `problem` is null when it was accepted, else a text that lives as long as the program.
struct Status {
  const char* problem = nullptr;
  bool ok() const { return problem == nullptr; }
};

namespace cpu {
/// That its kernels are compiled for and that this processor runs: "avx512", "avx2" or "base".
const char* instruction_set();
}  // namespace cpu

namespace cuda {
/// Ok when kernels were compiled in and the device of this index can run them; else says what is missing.
Status available(int device);
}  // namespace cuda

}  // namespace finetune::kernels
