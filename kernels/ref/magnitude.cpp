#include "kernels/api/magnitude.h"

#include "kernels/ref/storage.h"

namespace finetune::kernels::ref {

Status magnitude_backward(const MagnitudeBackward& args, Stream) {
  for (std::int64_t i = 0; i < args.width; ++i) {
    double sum = args.dm[i];
    for (std::int64_t r = 0; r < args.rows; ++r) {
      const double dy = read(args.type, args.dy, r * args.dy_row + i);
      sum += dy * read(args.type, args.z, r * args.z_row + i) * static_cast<double>(args.inverse_norm[i]);
      write(args.type, args.dz, r * args.dz_row + i, dy * static_cast<double>(args.factor[i]));
    }
    args.dm[i] = static_cast<float>(sum);
  }
  return {};
}

}  // namespace finetune::kernels::ref
