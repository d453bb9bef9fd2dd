// Stands in front of kernels/cuda/device.cuh in a test: a kernel is an ordinary function, and launch() runs it block by
// block, each thread of a block a fiber (emulation/threads.h) with its own registers: a warp's matrix lies in 32 parts,
// one a lane. What a device would leave undefined is a problem that launch() returns: lanes that do not call together,
// addresses that are not aligned. What is copied later is NaN until its thread has waited.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "kernels/api/kernel.h"
#include "kernels/ref/storage.h"
#include "tests/kernels/emulation/threads.h"

#define __global__
#define __device__
#define __shared__ static  // blocks run one after the other

namespace finetune::kernels::cuda {

using emulation::blockIdx;
using emulation::dim3;
using emulation::launch;
using emulation::threadIdx;

inline void __syncthreads() {
  emulation::wait_for_block();
}

using Bf16 = struct Bf16Bits { std::uint16_t bits; };
inline float to_float(float value) {
  return value;
}
inline float to_float(Bf16 value) {
  return ref::from_bf16(value.bits);
}
inline void store(float* to, float value) {
  *to = value;
}
inline void store(Bf16* to, float value) {
  to->bits = ref::to_bf16(value);
}

inline float rounded_product(float a, float b) {
  volatile float product = a * b;
  return product;
}

template <typename T, int kCount>
struct alignas(sizeof(T) * kCount) Packet {
  T at[kCount];
};
template <int kCount, typename T>
Packet<T, kCount> load_packet(const T* from) {
  static_assert(sizeof(Packet<T, kCount>) == 8 || sizeof(Packet<T, kCount>) == 16);
  emulation::require_aligned(from, sizeof(Packet<T, kCount>));
  Packet<T, kCount> packet;
  std::memcpy(&packet, from, sizeof(packet));
  return packet;
}
template <int kCount, typename T>
void store_packet(T* to, const Packet<T, kCount>& packet) {
  static_assert(sizeof(packet) == 8 || sizeof(packet) == 16);
  emulation::require_aligned(to, sizeof(packet));
  std::memcpy(to, &packet, sizeof(packet));
}

template <typename T>
T across(const T& value, int mask) {
  emulation::called_together(nullptr, mask);
  T other;
  const void* const mine[] = {&value, &other, nullptr};
  emulation::meet(mine, [mask](const void* const(&parts)[3][32]) {
    for (int lane = 0; lane < 32; ++lane)
      std::memcpy(const_cast<void*>(parts[1][lane]), parts[0][lane ^ mask], sizeof(T));
  });
  return other;
}

inline void copy_later(void* shared, const void* from) {
  emulation::require_aligned(shared, 16);
  emulation::require_aligned(from, 16);
  emulation::copy_later(shared, from, 16);
}
inline void wait_for_copies() {
  emulation::wait_for_copies();
}

enum class Order { rows, columns };

/// A lane's part of 16 x 16 numbers: element e is number 32 e + lane of them, row by row.
struct LanePart {
  float at[8];
  static int number(int e) { return 32 * e + emulation::lane(); }
};
inline int place(int number, int pitch, Order order) {
  const int row = number / 16, column = number % 16;
  return order == Order::rows ? row * pitch + column : column * pitch + row;
}

template <Order kOrder>
struct LeftFragment {
  LanePart held;
  void load(const Bf16* from, int pitch) {
    emulation::called_together(from, pitch);
    emulation::require_aligned(from, 32);
    if (pitch % 8 != 0) emulation::fail("the pitch of a matrix of bf16 is no multiple of 8");
    for (int e = 0; e < 8; ++e) held.at[e] = to_float(from[place(LanePart::number(e), pitch, kOrder)]);
  }
};
template <Order kOrder>
struct RightFragment : LeftFragment<kOrder> {};

/// The numbers of all lanes' parts.
struct Whole {
  explicit Whole(const void* const (&parts)[32]) {
    for (int lane = 0; lane < 32; ++lane) {
      for (int e = 0; e < 8; ++e) at[32 * e + lane] = static_cast<const LanePart*>(parts[lane])->at[e];
    }
  }
  float at[256];
};

struct SumFragment {
  LanePart held;
  void clear() { held = {}; }
  template <Order kLeft, Order kRight>
  void add_product(const LeftFragment<kLeft>& left, const RightFragment<kRight>& right) {
    emulation::called_together(nullptr, 0);
    const void* const mine[] = {&left.held, &right.held, &held};
    emulation::meet(mine, [](const void* const(&parts)[3][32]) {
      const Whole a(parts[0]), b(parts[1]);
      Whole sum(parts[2]);
      for (int i = 0; i < 16; ++i) {
        for (int k = 0; k < 16; ++k) {
          for (int j = 0; j < 16; ++j) sum.at[16 * i + j] += a.at[16 * i + k] * b.at[16 * k + j];
        }
      }
      for (int lane = 0; lane < 32; ++lane) {
        auto* part = const_cast<LanePart*>(static_cast<const LanePart*>(parts[2][lane]));
        for (int e = 0; e < 8; ++e) part->at[e] = sum.at[32 * e + lane];
      }
    });
  }
  void store(float* to, int pitch, Order order) const {
    emulation::called_together(to, pitch);
    emulation::require_aligned(to, 32);
    if (pitch % 4 != 0) emulation::fail("the pitch of a matrix of fp32 is no multiple of 4");
    for (int e = 0; e < 8; ++e) to[place(LanePart::number(e), pitch, order)] = held.at[e];
  }
};

}  // namespace finetune::kernels::cuda
