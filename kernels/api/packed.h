// The weights of a frozen matrix in 4 or 8 bits and back, with the numbers of bitsandbytes. A matrix is one Linear
// module's, its elements row by row.
//
// nf4: blocks of kNf4Block elements, wherever rows end; element = kNf4[code] * absmax of its block. Two codes a byte,
// the first in the high half. Doubly quantised, an absmax is itself a code: map[code] * absmax of its kAbsmaxBlock
// blocks, rounded, + offset.
// int8: element = code * absmax of its row * kOver127, rounded after each product.
#pragma once

#include "kernels/api/kernel.h"

namespace finetune::kernels {

enum class Code : std::int32_t { nf4, int8 };

inline constexpr std::int64_t kNf4Block = 64, kAbsmaxBlock = 256;
inline constexpr float kNf4[16] = {-1.0f,
                                   -0.6961928009986877f,
                                   -0.5250730514526367f,
                                   -0.39491748809814453f,
                                   -0.28444138169288635f,
                                   -0.18477343022823334f,
                                   -0.09105003625154495f,
                                   0.0f,
                                   0.07958029955625534f,
                                   0.16093020141124725f,
                                   0.24611230194568634f,
                                   0.33791524171829224f,
                                   0.44070982933044434f,
                                   0.5626170039176941f,
                                   0.7229568362236023f,
                                   1.0f};
inline constexpr float kOver127 = 7.874015718698502e-3f;

struct Packed {
  Code code;
  const std::uint8_t* codes;  ///< int8: signed
  const float* absmax;
  const std::uint8_t* absmax_codes;  ///< of doubly quantised nf4; else null, as map and offset
  const float* map;                  ///< 256 numbers
  const float* offset;               ///< one
  std::int64_t rows, columns;
};

struct Dequantize {
  Type type;
  Packed from;
  void* w;  ///< [rows, columns], without gaps
};

namespace ref {
Status dequantize(const Dequantize& args, Stream stream);
}  // namespace ref

namespace cpu {
Status dequantize(const Dequantize& args, Stream stream);
}  // namespace cpu

namespace cuda {
Status dequantize(const Dequantize& args, Stream stream);
}  // namespace cuda

}  // namespace finetune::kernels
