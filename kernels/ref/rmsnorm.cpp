#include "kernels/api/rmsnorm.h"

#include "kernels/ref/storage.h"

namespace finetune::kernels::ref {
namespace {

template <typename Args>
double weight(const Args& args, std::int64_t i) {
  return read(args.type, args.w, i) + (args.unit_offset ? 1 : 0);
}

}  // namespace

Status rmsnorm_forward(const RmsnormForward& args, Stream) {
  for (std::int64_t r = 0; r < args.rows; ++r) {
    const auto x = [&](std::int64_t i) { return read(args.type, args.x, r * args.x_row + i); };
    double squares = 0;
    for (std::int64_t i = 0; i < args.width; ++i) squares += x(i) * x(i);
    const double rstd = 1 / std::sqrt(squares / static_cast<double>(args.width) + args.epsilon);
    args.rstd[r] = static_cast<float>(rstd);
    for (std::int64_t i = 0; i < args.width; ++i) {
      const double n = args.unit_offset ? x(i) * rstd : rounded(args.type, x(i) * rstd);
      write(args.type, args.y, r * args.y_row + i, n * weight(args, i));
    }
  }
  return {};
}

Status rmsnorm_backward(const RmsnormBackward& args, Stream) {
  for (std::int64_t r = 0; r < args.rows; ++r) {
    const double rstd = args.rstd[r];
    const auto n = [&](std::int64_t i) { return read(args.type, args.x, r * args.x_row + i) * rstd; };
    const auto g = [&](std::int64_t i) { return read(args.type, args.dy, r * args.dy_row + i) * weight(args, i); };
    double dot = 0;
    for (std::int64_t i = 0; i < args.width; ++i) dot += g(i) * n(i);
    const double mean = dot / static_cast<double>(args.width);
    for (std::int64_t i = 0; i < args.width; ++i) {
      const std::int64_t to = r * args.dx_row + i;
      const double before = args.accumulate ? read(args.type, args.dx, to) : 0;
      write(args.type, args.dx, to, before + (g(i) - n(i) * mean) * rstd);
    }
  }
  return {};
}

Status rmsnorm_weight_gradient(const RmsnormWeightGradient& args, Stream) {
  for (std::int64_t i = 0; i < args.width; ++i) {
    double sum = 0;
    for (std::int64_t r = 0; r < args.rows; ++r) {
      sum += read(args.type, args.dy, r * args.dy_row + i) * read(args.type, args.x, r * args.x_row + i) * args.rstd[r];
    }
    args.dw[i] = static_cast<float>(args.dw[i] + sum);
  }
  return {};
}

}  // namespace finetune::kernels::ref
