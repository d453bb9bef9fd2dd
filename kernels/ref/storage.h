// Elements of either storage type as doubles.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include "kernels/api/kernel.h"

namespace finetune::kernels::ref {

/// To the nearest bf16, ties to even; infinities stay, a NaN stays a NaN.
inline std::uint16_t to_bf16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if (std::isnan(value)) return static_cast<std::uint16_t>(bits >> 16 | 0x40);
  return static_cast<std::uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
inline float from_bf16(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

inline double read(Type type, const void* data, std::int64_t index) {
  return type == Type::f32 ? static_cast<const float*>(data)[index]
                           : from_bf16(static_cast<const std::uint16_t*>(data)[index]);
}
inline void write(Type type, void* data, std::int64_t index, double value) {
  const auto narrow = static_cast<float>(value);
  if (type == Type::f32)
    static_cast<float*>(data)[index] = narrow;
  else
    static_cast<std::uint16_t*>(data)[index] = to_bf16(narrow);
}
inline double rounded(Type type, double value) {
  const auto narrow = static_cast<float>(value);
  return type == Type::f32 ? narrow : from_bf16(to_bf16(narrow));
}

}  // namespace finetune::kernels::ref
