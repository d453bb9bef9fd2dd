// What every kernel family shares. A family is one header here, declared twice: in `ref` (plain C++, sums in double:
// the oracle of the tests) and in `cuda` (kernels/cuda, or kernels/none in a program built without CUDA). Both take the
// same struct of pointers, sizes and scalars.
//
// Rules of all families. Every pointer is memory of the implementation's own side (host for ref, device for cuda),
// lists of slots and groups included, so what a tuner may change never needs a new launch plan. Strides are in
// elements, between rows; elements of a row are contiguous. cuda functions only enqueue on `stream`: no allocation, no
// synchronisation, no host copy, no floating-point atomics; a result is the same bits in every run, and a trial's
// numbers do not depend on who else is in the call. Sizes of zero are legal and do nothing.
#pragma once

#include <cstdint>

namespace finetune::kernels {

/// Storage of activations. Arithmetic is fp32 (ref: double), rounded to the storage type where the composition of ATen
/// ops in kernels/torch rounds.
enum class Type : std::int32_t { f32, bf16 };

/// A cudaStream_t; ref ignores it.
struct Stream {
  void* handle = nullptr;
};

/// What became of a call. `problem` is null when it was accepted, else a text that lives as long as the program.
struct Status {
  const char* problem = nullptr;
  bool ok() const { return problem == nullptr; }
};

namespace cuda {
/// Ok when kernels were compiled in and the device of this index can run them; else says what is missing.
Status available(int device);
}  // namespace cuda

}  // namespace finetune::kernels
