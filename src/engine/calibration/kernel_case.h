// Operations of kernels/torch/ops.h at the sizes of a model: what each is given, and how it is called through a
// backend.
#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "engine/calibration/kernel_shape.h"
#include "kernels/torch/backend.h"

namespace finetune {

/// How many rows an operation is tried on.
struct CaseSize {
  std::int64_t tokens = 512;
  std::int64_t segment = 128;  ///< tokens of the longest example
  bool operator==(const CaseSize&) const = default;
};

/// What a call writes, as it is before: NaN everywhere where it is only written, values where it is added to.
struct CaseOutput {
  std::string name;
  at::Tensor before;
};

/// One operation at one size, forward and backward in one call. Tensors in `inputs` and `outputs` may be replaced by
/// others of their shapes in a wider dtype.
struct KernelCase {
  ops::Operation operation = ops::Operation::rmsnorm;
  at::ScalarType dtype = at::kFloat;  ///< of the activations; the optimizer's is float32 always
  std::int64_t rows = 0;              ///< tokens, rows of logits, parameters of a slot
  double bytes = 0, flops = 0;        ///< that must be moved and computed at the least
  std::vector<at::Tensor> inputs;
  std::vector<CaseOutput> outputs;
  std::function<void(const ops::Backend&, std::span<const at::Tensor> inputs, std::span<at::Tensor> outputs)> call;
};

/// The same values on every machine for the same arguments.
KernelCase make_case(ops::Operation operation, const KernelShape& shape, at::ScalarType dtype, const CaseSize& size,
                     at::Device device);

/// Whether `backend` has something of its own for an operation, or what `composition` does.
bool differs(ops::Operation operation, const ops::Backend& backend, const ops::Backend& composition);

/// What cases are made with: random values of a fixed seed, on the device in the dtype.
class CaseMaker {
 public:
  CaseMaker(const KernelShape& shape, at::ScalarType dtype, const CaseSize& size, at::Device device);
  at::Tensor random(at::IntArrayRef sizes, double scale = 1) const;
  at::Tensor random_floats(at::IntArrayRef sizes, double scale = 1) const;
  /// NaN everywhere.
  at::Tensor poison(at::IntArrayRef sizes) const;
  at::Tensor poison_floats(at::IntArrayRef sizes) const;
  /// Whole numbers below `end`.
  at::Tensor below(std::int64_t end, std::int64_t count, at::ScalarType type) const;
  double element_bytes() const;

  KernelShape shape;
  at::ScalarType dtype;
  CaseSize size;
  at::Device device;

 private:
  at::Generator numbers_;
};

/// By operation; kernel_case_rows.cpp, kernel_case_pack.cpp and kernel_case_store.cpp.
KernelCase rmsnorm_case(const CaseMaker& make);
KernelCase rotary_case(const CaseMaker& make);
KernelCase glu_case(const CaseMaker& make);
KernelCase entropy_case(const CaseMaker& make);
KernelCase attention_case(const CaseMaker& make);
KernelCase adapter_case(const CaseMaker& make, float dropout);
KernelCase optimizer_case(const CaseMaker& make);
KernelCase decoding_case(const CaseMaker& make);
KernelCase unpacking_case(const CaseMaker& make);

}  // namespace finetune
