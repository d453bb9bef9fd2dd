#include "kernels/api/glu.h"

#include <cmath>
#include <numbers>

#include "kernels/ref/storage.h"

namespace finetune::kernels::ref {
namespace {

// An activation at a place, and its slope there.
struct Gate {
  double value, slope;
};

Gate silu(double x) {
  const double s = 1 / (1 + std::exp(-x));
  return {x * s, s * (1 + x * (1 - s))};
}

Gate gelu_tanh(double x) {
  const double root = std::sqrt(2 / std::numbers::pi), cubic = 0.044715;
  const double t = std::tanh(root * (x + cubic * x * x * x));
  return {x * (1 + t) / 2, (1 + t) / 2 + x * (1 - t * t) / 2 * root * (1 + 3 * cubic * x * x)};
}

Gate gate_of(Activation activation, double x) {
  return activation == Activation::silu ? silu(x) : gelu_tanh(x);
}

}  // namespace

Status glu_forward(const GluForward& args, Stream) {
  for (std::int64_t r = 0; r < args.rows; ++r) {
    for (std::int64_t i = 0; i < args.width; ++i) {
      const Gate gate = gate_of(args.activation, read(args.type, args.gate, r * args.gate_row + i));
      const double up = read(args.type, args.up, r * args.up_row + i);
      write(args.type, args.h, r * args.h_row + i, rounded(args.type, gate.value) * up);
    }
  }
  return {};
}

Status glu_backward(const GluBackward& args, Stream) {
  for (std::int64_t r = 0; r < args.rows; ++r) {
    for (std::int64_t i = 0; i < args.width; ++i) {
      const Gate gate = gate_of(args.activation, read(args.type, args.gate, r * args.gate_row + i));
      const double up = read(args.type, args.up, r * args.up_row + i);
      const double dh = read(args.type, args.dh, r * args.dh_row + i);
      write(args.type, args.dgate, r * args.dgate_row + i, dh * up * gate.slope);
      write(args.type, args.dup, r * args.dup_row + i, dh * gate.value);
    }
  }
  return {};
}

}  // namespace finetune::kernels::ref
