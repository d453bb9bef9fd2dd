// 16 bytes an access, a row in registers between its two uses: a warp has a row of up to 128 packets, a block a
// wider one; the weight's gradient one block per packet of columns. Limit: bytes of what is read and written.
#include "kernels/api/rmsnorm.h"
#include "kernels/cuda/common.cuh"

namespace finetune::kernels::cuda {
namespace {

constexpr int kNormThreads = 128;  // of a block: of one row, or a warp for each of four

// What a column is multiplied by.
template <typename T>
__device__ float weight(T w, bool unit_offset) {
  return unit_offset ? 1.0f + to_float(w) : to_float(w);
}

// A thread's share of a row, up to kPackets packets of it: it is in registers between the two times that it is needed.
// Of a wider row a share is a part, and shares are loaded again.
template <typename T, int kRowThreads, int kPackets>
struct Share {
  static constexpr std::int64_t kStep = kRowThreads * kMany<T>, kWidth = kStep * kPackets;
  Many<T> packet[kPackets];

  __device__ static std::int64_t column(std::int64_t part, int p) {
    return part + p * kStep + threadIdx.x % kRowThreads * kMany<T>;
  }
  __device__ void load(const T* row, std::int64_t part, std::int64_t width) {
#pragma unroll
    for (int p = 0; p < kPackets; ++p) packet[p] = load_many(row + column(part, p), width - column(part, p));
  }
};

// Sum over the threads of a row; all of the block call.
template <int kRowThreads>
__device__ float row_sum(float value, float* buffer) {
  if constexpr (kRowThreads == kLanes) return warp_reduce(value, Plus{});
  return block_sum<kNormThreads>(value, buffer);
}

template <typename T, int kRowThreads, int kPackets>
__global__ void forward_kernel(RmsnormForward args) {
  using Part = Share<T, kRowThreads, kPackets>;
  __shared__ float buffer[kNormThreads / kLanes];
  const std::int64_t r = blockIdx.x * (kNormThreads / kRowThreads) + threadIdx.x / kRowThreads;
  const std::int64_t width = r < args.rows ? args.width : 0;  // rows behind the last have no elements
  const T *x = static_cast<const T*>(args.x) + r * args.x_row, *w = static_cast<const T*>(args.w);
  T* y = static_cast<T*>(args.y) + r * args.y_row;
  Part share;
  float squares = 0;
  for (std::int64_t part = 0; part < width; part += Part::kWidth) {
    share.load(x, part, width);
    for (const Many<T>& many : share.packet) {
      for (const T& value : many.at) squares += to_float(value) * to_float(value);
    }
  }
  const float mean = row_sum<kRowThreads>(squares, buffer) / static_cast<float>(args.width);
  const float rstd = 1.0f / sqrtf(mean + args.epsilon);
  if (width > 0 && threadIdx.x % kRowThreads == 0) args.rstd[r] = rstd;
  for (std::int64_t part = 0; part < width; part += Part::kWidth) {
    if (width > Part::kWidth) share.load(x, part, width);
#pragma unroll
    for (int p = 0; p < kPackets; ++p) {
      const std::int64_t i = Part::column(part, p), left = width - i;
      if (left <= 0) break;
      const Many<T> factor = load_many(w + i, left);
      for (int k = 0; k < kMany<T>; ++k) {
        T& value = share.packet[p].at[k];
        const float n = to_float(value) * rstd;
        store(&value, (args.unit_offset ? n : rounded<T>(n)) * weight(factor.at[k], args.unit_offset));
      }
      store_many(y + i, share.packet[p], left);
    }
  }
}

template <typename T, int kRowThreads, int kPackets>
__global__ void backward_kernel(RmsnormBackward args) {
  using Part = Share<T, kRowThreads, kPackets>;
  __shared__ float buffer[kNormThreads / kLanes];
  const std::int64_t r = blockIdx.x * (kNormThreads / kRowThreads) + threadIdx.x / kRowThreads;
  const std::int64_t width = r < args.rows ? args.width : 0;
  const T *dy = static_cast<const T*>(args.dy) + r * args.dy_row, *x = static_cast<const T*>(args.x) + r * args.x_row;
  const T* w = static_cast<const T*>(args.w);
  T* dx = static_cast<T*>(args.dx) + r * args.dx_row;
  const float rstd = width > 0 ? args.rstd[r] : 0.0f;
  Part from, at;
  float dot = 0;
  for (std::int64_t part = 0; part < width; part += Part::kWidth) {
    from.load(dy, part, width);
    at.load(x, part, width);
#pragma unroll
    for (int p = 0; p < kPackets; ++p) {
      const Many<T> factor = load_many(w + Part::column(part, p), width - Part::column(part, p));
      for (int k = 0; k < kMany<T>; ++k) {
        dot += to_float(from.packet[p].at[k]) * weight(factor.at[k], args.unit_offset) *
               (to_float(at.packet[p].at[k]) * rstd);
      }
    }
  }
  const float mean = row_sum<kRowThreads>(dot, buffer) / static_cast<float>(args.width);
  for (std::int64_t part = 0; part < width; part += Part::kWidth) {
    if (width > Part::kWidth) {
      from.load(dy, part, width);
      at.load(x, part, width);
    }
#pragma unroll
    for (int p = 0; p < kPackets; ++p) {
      const std::int64_t i = Part::column(part, p), left = width - i;
      if (left <= 0) break;
      const Many<T> factor = load_many(w + i, left);
      Many<T> sums = args.accumulate ? load_many(dx + i, left) : Many<T>{};
      for (int k = 0; k < kMany<T>; ++k) {
        const float g = to_float(from.packet[p].at[k]) * weight(factor.at[k], args.unit_offset);
        const float d = (g - to_float(at.packet[p].at[k]) * rstd * mean) * rstd;
        store(&sums.at[k], args.accumulate ? to_float(sums.at[k]) + d : d);
      }
      store_many(dx + i, sums, left);
    }
  }
}

// Launches the kernel for rows of this width: launches(threads of a row, packets of a thread), both in types.
template <int kNumber>
struct Number {
  static constexpr int value = kNumber;
};
template <typename T, typename Launches>
Status for_width(std::int64_t width, const Launches& launches) {
  const std::int64_t packets = (width + kMany<T> - 1) / kMany<T>;
  if (packets <= kLanes) return launches(Number<kLanes>{}, Number<1>{});
  if (packets <= 4 * kLanes) return launches(Number<kLanes>{}, Number<4>{});
  if (packets <= 4 * kNormThreads) return launches(Number<kNormThreads>{}, Number<4>{});
  return launches(Number<kNormThreads>{}, Number<8>{});
}

// Sums of as many columns as a packet has.
template <typename T>
struct ColumnSums {
  float at[kMany<T>];
};
struct PlusEach {
  template <typename Sums>
  __device__ Sums operator()(Sums a, const Sums& b) const {
    for (int k = 0; k < static_cast<int>(sizeof(a.at) / sizeof(float)); ++k) a.at[k] += b.at[k];
    return a;
  }
};

template <typename T>
__global__ void weight_gradient_kernel(RmsnormWeightGradient args) {
  __shared__ ColumnSums<T> buffer[kThreads / kLanes];
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kMany<T>, left = args.width - i;
  const T *dy = static_cast<const T*>(args.dy) + i, *x = static_cast<const T*>(args.x) + i;
  ColumnSums<T> sums = {};
  for (std::int64_t r = threadIdx.x; r < args.rows; r += kThreads) {
    const Many<T> d = load_many(dy + r * args.dy_row, left), n = load_many(x + r * args.x_row, left);
    const float rstd = args.rstd[r];
    for (int k = 0; k < kMany<T>; ++k) sums.at[k] += to_float(d.at[k]) * (to_float(n.at[k]) * rstd);
  }
  sums = block_reduce(sums, buffer, PlusEach{});
  if (threadIdx.x != 0) return;
  for (int k = 0; k < kMany<T>; ++k) {
    if (k < left) args.dw[i + k] += sums.at[k];
  }
}

}  // namespace

Status rmsnorm_forward(const RmsnormForward& args, Stream stream) {
  return with_type(args.type, [&]<typename T>(T) {
    return for_width<T>(args.width, [&]<typename Threads, typename Packets>(Threads, Packets) {
      const dim3 grid(blocks(args.rows, kNormThreads / Threads::value));
      return launch(forward_kernel<T, Threads::value, Packets::value>, grid, kNormThreads, stream, args);
    });
  });
}

Status rmsnorm_backward(const RmsnormBackward& args, Stream stream) {
  return with_type(args.type, [&]<typename T>(T) {
    return for_width<T>(args.width, [&]<typename Threads, typename Packets>(Threads, Packets) {
      const dim3 grid(blocks(args.rows, kNormThreads / Threads::value));
      return launch(backward_kernel<T, Threads::value, Packets::value>, grid, kNormThreads, stream, args);
    });
  });
}

Status rmsnorm_weight_gradient(const RmsnormWeightGradient& args, Stream stream) {
  return with_type(args.type, [&]<typename T>(T) {
    return launch(weight_gradient_kernel<T>, dim3(blocks(args.width, kMany<T>)), kThreads, stream, args);
  });
}

}  // namespace finetune::kernels::cuda
