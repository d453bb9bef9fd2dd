// Compiled without contraction (CMakeLists.txt): an absmax is a product, rounded, and a sum.
#include "kernels/cpu/packed.h"

#include <algorithm>

#include "kernels/cpu/parallel.h"
#include "kernels/cpu/table.h"

namespace finetune::kernels::cpu {
namespace {

constexpr std::int64_t kBlocksAtOnce = 64;

// Blocks whose absmax is a code are unpacked a few at a time.
void unpack_blocks(const Packed& p, std::int64_t begin, std::int64_t end, float* to) {
  if (p.absmax_codes == nullptr) return table().unpack_nf4(p.codes, p.absmax + begin / kNf4Block, begin, end, to);
  while (begin < end) {
    const std::int64_t first = begin / kNf4Block, stop = std::min(end, (first + kBlocksAtOnce) * kNf4Block);
    float absmax[kBlocksAtOnce];
    for (std::int64_t block = first; block * kNf4Block < stop; ++block)
      absmax[block - first] = p.map[p.absmax_codes[block]] * p.absmax[block / kAbsmaxBlock] + *p.offset;
    table().unpack_nf4(p.codes, absmax, begin, stop, to);
    to += stop - begin;
    begin = stop;
  }
}

void unpack_rows(const Packed& p, std::int64_t begin, std::int64_t end, float* to) {
  const auto* codes = reinterpret_cast<const std::int8_t*>(p.codes);
  while (begin < end) {
    const std::int64_t r = begin / p.columns, stop = std::min(end, (r + 1) * p.columns);
    table().unpack_int8(codes + begin, p.absmax[r], stop - begin, to);
    to += stop - begin;
    begin = stop;
  }
}

constexpr std::int64_t kPart = kBlocksAtOnce * kNf4Block;

void unpack_rounded(const Packed& from, std::int64_t begin, std::int64_t end, std::uint16_t* to) {
  float numbers[kPart];
  for (; begin < end; begin += kPart, to += kPart) {
    const std::int64_t count = std::min(kPart, end - begin);
    unpack(from, begin, begin + count, numbers);
    table().round_row(numbers, count, to);
  }
}

}  // namespace

void unpack(const Packed& from, std::int64_t begin, std::int64_t end, float* to) {
  from.code == Code::nf4 ? unpack_blocks(from, begin, end, to) : unpack_rows(from, begin, end, to);
}

Status dequantize(const Dequantize& args, Stream stream) {
  const std::int64_t elements = args.from.rows * args.from.columns;
  in_parallel(stream, (elements + kPart - 1) / kPart, kPart, [&](std::int64_t first, std::int64_t last) {
    const std::int64_t begin = first * kPart, end = std::min(elements, last * kPart);
    if (args.type == Type::f32)
      unpack(args.from, begin, end, static_cast<float*>(args.w) + begin);
    else
      unpack_rounded(args.from, begin, end, static_cast<std::uint16_t*>(args.w) + begin);
  });
  return {};
}

}  // namespace finetune::kernels::cpu
