#include "models/quantization.h"

#include <algorithm>

#include "models/decoder_tensors.h"

namespace finetune {
namespace {

std::int64_t parts(std::int64_t count, std::int64_t size) {
  return (count + size - 1) / size;
}

}  // namespace

std::int64_t matrix_bytes(const Quantization& quantization, std::int64_t rows, std::int64_t columns,
                          std::int64_t element_bytes) {
  constexpr std::int64_t kAbsmax = sizeof(float);
  const std::int64_t elements = rows * columns;
  if (!quantization.code) return elements * element_bytes;
  if (*quantization.code == kernels::Code::int8) return elements + rows * kAbsmax;
  const std::int64_t codes = parts(elements, 2), blocks = parts(elements, kernels::kNf4Block);
  if (!quantization.doubled) return codes + blocks * kAbsmax;
  return codes + blocks + (parts(blocks, kernels::kAbsmaxBlock) + 1) * kAbsmax;
}

std::int64_t base_bytes(const DecoderOptions& model, const Quantization& quantization, std::int64_t element_bytes) {
  struct Nothing {};
  DecoderTensors<Nothing> tensors;
  tensors.blocks.resize(static_cast<std::size_t>(model.layers));
  std::int64_t bytes = 0;
  for_each_tensor(model, tensors, [&](const TensorRows& rows, Nothing&) {
    if (!rows.projection) bytes += rows.elements() * element_bytes;
    for (const auto& part : rows.parts)
      if (rows.projection) bytes += matrix_bytes(quantization, part.rows, rows.columns, element_bytes);
  });
  return bytes;
}

std::int64_t largest_stack(const DecoderOptions& model) {
  std::int64_t most = 0;
  for (const Stack stack : kStacks) most = std::max(most, weight_rows(model, 0, stack).elements());
  return most;
}

std::int64_t layer_projections(const DecoderOptions& model) {
  std::int64_t elements = 0;
  for (const Stack stack : kStacks) elements += weight_rows(model, 0, stack).elements();
  return elements;
}

std::string quantization_name(const Quantization& quantization) {
  if (!quantization.code) return "";
  if (*quantization.code == kernels::Code::int8) return "int8";
  return quantization.doubled ? "nf4 (doubly quantised)" : "nf4";
}

}  // namespace finetune
