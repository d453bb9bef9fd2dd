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

}  // namespace

void unpack(const Packed& from, std::int64_t begin, std::int64_t end, float* to) {
  from.code == Code::nf4 ? unpack_blocks(from, begin, end, to) : unpack_rows(from, begin, end, to);
}

Status dequantize(const Dequantize& args, Stream stream) {
  constexpr std::int64_t kPart = kBlocksAtOnce * kNf4Block;
  if (args.type != Type::f32) return kFloat32Only;
  const std::int64_t elements = args.from.rows * args.from.columns;
  auto* w = static_cast<float*>(args.w);
  in_parallel(stream, (elements + kPart - 1) / kPart, kPart, [&](std::int64_t first, std::int64_t last) {
    unpack(args.from, first * kPart, std::min(elements, last * kPart), w + first * kPart);
  });
  return {};
}

}  // namespace finetune::kernels::cpu
