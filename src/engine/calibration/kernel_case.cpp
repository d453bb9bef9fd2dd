#include "engine/calibration/kernel_case.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include <cmath>

namespace finetune {

CaseMaker::CaseMaker(const KernelShape& of, at::ScalarType in, const CaseSize& how_large, at::Device on)
    : shape(of),
      dtype(in),
      size(how_large),
      device(on),
      numbers_(at::make_generator<at::CPUGeneratorImpl>(std::uint64_t{2024})) {}

at::Tensor CaseMaker::random(at::IntArrayRef sizes, double scale) const {
  return random_floats(sizes, scale).to(dtype);
}
at::Tensor CaseMaker::random_floats(at::IntArrayRef sizes, double scale) const {
  return at::randn(sizes, numbers_, at::TensorOptions(at::kFloat)).mul_(scale).to(device);
}
at::Tensor CaseMaker::poison(at::IntArrayRef sizes) const {
  return at::full(sizes, std::nan(""), at::TensorOptions(dtype).device(device));
}
at::Tensor CaseMaker::poison_floats(at::IntArrayRef sizes) const {
  return at::full(sizes, std::nan(""), at::TensorOptions(at::kFloat).device(device));
}
at::Tensor CaseMaker::below(std::int64_t end, std::int64_t count, at::ScalarType type) const {
  return at::randint(end, {count}, numbers_, at::TensorOptions(at::kLong)).to(type).to(device);
}
double CaseMaker::element_bytes() const {
  return static_cast<double>(at::elementSize(dtype));
}

KernelCase make_case(ops::Operation operation, const KernelShape& shape, at::ScalarType dtype, const CaseSize& size,
                     at::Device device) {
  const CaseMaker make(shape, dtype, size, device);
  const auto made = [&] {
    using enum ops::Operation;
    switch (operation) {
      case rmsnorm:
        return rmsnorm_case(make);
      case rotary_embedding:
        return rotary_case(make);
      case attention:
        return attention_case(make);
      case glu:
        return glu_case(make);
      case entropy:
        return entropy_case(make);
      case adapter:
        return adapter_case(make, 0);
      case dropped_adapter:
        return adapter_case(make, 0.1f);
      case optimizer:
        return optimizer_case(make);
      case decoding:
        return decoding_case(make);
      case unpacking:
        return unpacking_case(make);
    }
    return KernelCase();
  };
  KernelCase one = made();
  one.operation = operation;
  one.dtype = operation == ops::Operation::optimizer ? at::kFloat : dtype;
  return one;
}

bool differs(ops::Operation operation, const ops::Backend& backend, const ops::Backend& other) {
  using enum ops::Operation;
  switch (operation) {
    case rmsnorm:
      return backend.rmsnorm_forward != other.rmsnorm_forward;
    case rotary_embedding:
      return backend.rotary != other.rotary;
    case attention:
      return backend.attention_forward != other.attention_forward;
    case glu:
      return backend.glu_forward != other.glu_forward;
    case entropy:
      return backend.cross_entropy != other.cross_entropy;
    case adapter:
    case dropped_adapter:
      return backend.adapter_forward != other.adapter_forward;
    case optimizer:
      return backend.adamw != other.adamw;
    case decoding:
      return backend.row_product != other.row_product;
    case unpacking:
      return backend.dequantize != other.dequantize;
  }
  return false;
}

}  // namespace finetune
