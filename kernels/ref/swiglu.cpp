#include "kernels/api/swiglu.h"

#include "kernels/ref/storage.h"

namespace finetune::kernels::ref {
namespace {

double sigmoid(double x) {
  return 1 / (1 + std::exp(-x));
}

}  // namespace

Status swiglu_forward(const SwigluForward& args, Stream) {
  for (std::int64_t r = 0; r < args.rows; ++r) {
    for (std::int64_t i = 0; i < args.width; ++i) {
      const double gate = read(args.type, args.gate, r * args.gate_row + i);
      const double up = read(args.type, args.up, r * args.up_row + i);
      write(args.type, args.h, r * args.h_row + i, rounded(args.type, gate * sigmoid(gate)) * up);
    }
  }
  return {};
}

Status swiglu_backward(const SwigluBackward& args, Stream) {
  for (std::int64_t r = 0; r < args.rows; ++r) {
    for (std::int64_t i = 0; i < args.width; ++i) {
      const double gate = read(args.type, args.gate, r * args.gate_row + i);
      const double up = read(args.type, args.up, r * args.up_row + i);
      const double dh = read(args.type, args.dh, r * args.dh_row + i), s = sigmoid(gate);
      write(args.type, args.dgate, r * args.dgate_row + i, dh * up * s * (1 + gate * (1 - s)));
      write(args.type, args.dup, r * args.dup_row + i, dh * gate * s);
    }
  }
  return {};
}

}  // namespace finetune::kernels::ref
