#include "kernels/ref/packed.h"

#include "kernels/ref/storage.h"

namespace finetune::kernels::ref {
namespace {

// A compiler that may fuse a product with the sum behind it finds none to fuse.
float rounded_product(float a, float b) {
  volatile float product = a * b;
  return product;
}

float absmax_of(const Packed& p, std::int64_t block) {
  if (p.absmax_codes == nullptr) return p.absmax[block];
  return rounded_product(p.map[p.absmax_codes[block]], p.absmax[block / kAbsmaxBlock]) + *p.offset;
}

}  // namespace

float packed_element(const Packed& p, std::int64_t i) {
  if (p.code == Code::int8) {
    const auto code = static_cast<float>(static_cast<std::int8_t>(p.codes[i]));
    return rounded_product(rounded_product(code, p.absmax[i / p.columns]), kOver127);
  }
  const int byte = p.codes[i / 2];
  return rounded_product(kNf4[i % 2 == 0 ? byte >> 4 : byte & 15], absmax_of(p, i / kNf4Block));
}

Status dequantize(const Dequantize& args, Stream) {
  for (std::int64_t i = 0; i < args.from.rows * args.from.columns; ++i)
    write(args.type, args.w, i, packed_element(args.from, i));
  return {};
}

}  // namespace finetune::kernels::ref
