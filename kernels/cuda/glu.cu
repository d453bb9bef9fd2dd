// One block per row, 16 bytes an access. Limit: bytes of what is read and written.
#include "kernels/api/glu.h"
#include "kernels/cuda/common.cuh"

namespace finetune::kernels::cuda {
namespace {

// An activation at a place, and its slope there.
struct Gate {
  float value, slope;
};

template <Activation kActivation>
__device__ Gate gate_of(float x) {
  if constexpr (kActivation == Activation::silu) {
    const float s = 1.0f / (1.0f + expf(-x));
    return {x * s, s * (1.0f + x * (1.0f - s))};
  } else {
    constexpr float kRoot = 0.79788456080286536f, kCubic = 0.044715f;
    const float t = tanhf(kRoot * (x + kCubic * x * x * x));
    return {0.5f * x * (1.0f + t),
            0.5f * (1.0f + t) + 0.5f * x * (1.0f - t * t) * kRoot * (1.0f + 3.0f * kCubic * x * x)};
  }
}

template <typename T, Activation kActivation>
__global__ void forward_kernel(GluForward args) {
  const std::int64_t r = blockIdx.x;
  const T* gate = static_cast<const T*>(args.gate) + r * args.gate_row;
  const T* up = static_cast<const T*>(args.up) + r * args.up_row;
  T* h = static_cast<T*>(args.h) + r * args.h_row;
  for (std::int64_t i = threadIdx.x * kMany<T>; i < args.width; i += kThreads * kMany<T>) {
    const std::int64_t left = args.width - i;
    const Many<T> g = load_many(gate + i, left), u = load_many(up + i, left);
    Many<T> product;
    for (int k = 0; k < kMany<T>; ++k)
      store(&product.at[k], rounded<T>(gate_of<kActivation>(to_float(g.at[k])).value) * to_float(u.at[k]));
    store_many(h + i, product, left);
  }
}

template <typename T, Activation kActivation>
__global__ void backward_kernel(GluBackward args) {
  const std::int64_t r = blockIdx.x;
  const T* dh = static_cast<const T*>(args.dh) + r * args.dh_row;
  const T* gate = static_cast<const T*>(args.gate) + r * args.gate_row;
  const T* up = static_cast<const T*>(args.up) + r * args.up_row;
  T* dgate = static_cast<T*>(args.dgate) + r * args.dgate_row;
  T* dup = static_cast<T*>(args.dup) + r * args.dup_row;
  for (std::int64_t i = threadIdx.x * kMany<T>; i < args.width; i += kThreads * kMany<T>) {
    const std::int64_t left = args.width - i;
    const Many<T> d = load_many(dh + i, left), g = load_many(gate + i, left), u = load_many(up + i, left);
    Many<T> to_gate, to_up;
    for (int k = 0; k < kMany<T>; ++k) {
      const Gate at = gate_of<kActivation>(to_float(g.at[k]));
      store(&to_gate.at[k], to_float(d.at[k]) * to_float(u.at[k]) * at.slope);
      store(&to_up.at[k], to_float(d.at[k]) * at.value);
    }
    store_many(dgate + i, to_gate, left);
    store_many(dup + i, to_up, left);
  }
}

// launches(a tag with the activation) for the one that is asked for.
template <Activation kActivation>
struct Tag {
  static constexpr Activation activation = kActivation;
};
template <typename Launches>
Status with_activation(Activation activation, const Launches& launches) {
  if (activation == Activation::silu) return launches(Tag<Activation::silu>{});
  return launches(Tag<Activation::gelu_tanh>{});
}

}  // namespace

Status glu_forward(const GluForward& args, Stream stream) {
  return with_activation(args.activation, [&]<typename A>(A) {
    return with_type(args.type, [&]<typename T>(T) {
      return launch(forward_kernel<T, A::activation>, dim3(blocks(args.rows, 1)), kThreads, stream, args);
    });
  });
}

Status glu_backward(const GluBackward& args, Stream stream) {
  return with_activation(args.activation, [&]<typename A>(A) {
    return with_type(args.type, [&]<typename T>(T) {
      return launch(backward_kernel<T, A::activation>, dim3(blocks(args.rows, 1)), kThreads, stream, args);
    });
  });
}

}  // namespace finetune::kernels::cuda
