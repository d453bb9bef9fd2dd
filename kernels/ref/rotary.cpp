#include "kernels/api/rotary.h"

#include "kernels/ref/storage.h"

namespace finetune::kernels::ref {

Status rotary(const Rotary& args, Stream) {
  const std::int64_t half = args.dim / 2;
  const auto round = [&](double value) { return rounded(args.type, value); };
  for (std::int64_t r = 0; r < args.rows; ++r) {
    for (std::int64_t h = 0; h < args.heads; ++h) {
      for (std::int64_t i = 0; i < half; ++i) {
        const std::int64_t angle = args.positions[r] * half + i, first = r * args.x_row + h * args.x_head + i;
        const double cos = round(args.cos[angle]), sin = round(args.inverse ? -args.sin[angle] : args.sin[angle]);
        const double a = read(args.type, args.x, first), b = read(args.type, args.x, first + half);
        // Storage in fp32 rounds once, as a fused multiply-add would nearly do.
        const bool fp32 = args.type == Type::f32;
        write(args.type, args.x, first, fp32 ? a * cos - b * sin : round(a * cos) - round(b * sin));
        write(args.type, args.x, first + half, fp32 ? b * cos + a * sin : round(b * cos) + round(a * sin));
      }
    }
  }
  return {};
}

}  // namespace finetune::kernels::ref
