#include "kernels/api/softcap.h"

#include <cmath>

#include "kernels/ref/storage.h"

namespace finetune::kernels::ref {

Status softcap(const Softcap& args, Stream) {
  for (std::int64_t r = 0; r < args.rows; ++r) {
    for (std::int64_t i = 0; i < args.width; ++i) {
      const double t = std::tanh(read(args.type, args.x, r * args.x_row + i) / args.cap);
      write(args.type, args.x, r * args.x_row + i, args.cap * t);
      if (args.slope != nullptr) write(args.type, args.slope, r * args.slope_row + i, 1 - t * t);
    }
  }
  return {};
}

}  // namespace finetune::kernels::ref
