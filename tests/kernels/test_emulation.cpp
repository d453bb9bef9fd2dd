// The emulation finds what a device would leave undefined: each kernel here has one fault that it was made for.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "kernels/cuda/device.cuh"

namespace finetune::kernels::cuda {
namespace {

struct alignas(32) Matrices {
  Bf16 left[16 * 16], right[16 * 16];
  float sum[16 * 16];
};

void fill(Matrices& m) {
  for (int i = 0; i < 256; ++i) {
    store(&m.left[i], static_cast<float>(i % 7 - 3));
    store(&m.right[i], static_cast<float>(i % 5 - 2));
  }
}

// Left in rows, right in columns; lane `absent` does not take part.
void multiply_kernel(Matrices* m, int absent) {
  if (static_cast<int>(threadIdx.x) == absent) return;
  LeftFragment<Order::rows> left;
  RightFragment<Order::columns> right;
  SumFragment sum;
  left.load(m->left, 16);
  right.load(m->right, 16);
  sum.clear();
  sum.add_product(left, right);
  sum.add_product(left, right);
  sum.store(m->sum, 16, Order::columns);
}

TEST(Emulation, AWarpMultipliesTogether) {
  Matrices m;
  fill(m);
  ASSERT_TRUE(launch(multiply_kernel, dim3(1), 32, {}, &m, -1).ok());
  for (int i = 0; i < 16; ++i) {
    for (int j = 0; j < 16; ++j) {
      float sum = 0;
      for (int k = 0; k < 16; ++k) sum += 2 * to_float(m.left[16 * i + k]) * to_float(m.right[16 * j + k]);
      EXPECT_EQ(m.sum[16 * j + i], sum) << i << " " << j;
    }
  }
}

TEST(Emulation, ALaneThatIsMissingIsAProblem) {
  Matrices m;
  fill(m);
  EXPECT_STREQ(launch(multiply_kernel, dim3(1), 32, {}, &m, 5).problem, "lanes of a warp do not call together");
  EXPECT_STREQ(launch(multiply_kernel, dim3(1), 16, {}, &m, -1).problem,
               "a warp-wide call in a block without whole warps");
}

void different_addresses_kernel(Matrices* m) {
  LeftFragment<Order::rows> left;
  left.load(threadIdx.x == 3 ? m->right : m->left, 16);
}

void waits_apart_kernel(Matrices* m) {
  RightFragment<Order::rows> right;
  LeftFragment<Order::rows> left;
  SumFragment sum;
  right.load(m->right, 16);
  left.load(m->left, 16);
  sum.clear();
  if (threadIdx.x >= 16) __syncthreads();
  sum.add_product(left, right);
  if (threadIdx.x < 16) __syncthreads();
}

TEST(Emulation, ABarrierThatHalfAWarpWaitsAtIsAProblem) {
  Matrices m;
  fill(m);
  EXPECT_FALSE(launch(waits_apart_kernel, dim3(1), 32, {}, &m).ok());
}

TEST(Emulation, LanesThatCallDifferentlyAreAProblem) {
  Matrices m;
  fill(m);
  EXPECT_STREQ(launch(different_addresses_kernel, dim3(1), 32, {}, &m).problem, "lanes of a warp do not call together");
}

void unaligned_kernel(Matrices* m) {
  LeftFragment<Order::rows> left;
  left.load(m->left + 8, 16);
}
void unaligned_packet_kernel(const float* from, float* to) {
  store_packet(to, load_packet<4>(from));
}

TEST(Emulation, AnAddressThatIsNotAlignedIsAProblem) {
  Matrices m;
  fill(m);
  EXPECT_STREQ(launch(unaligned_kernel, dim3(1), 32, {}, &m).problem, "an access is not aligned");
  alignas(16) float values[8] = {};
  EXPECT_TRUE(launch(unaligned_packet_kernel, dim3(1), 1, {}, values + 4, values + 0).ok());
  EXPECT_STREQ(launch(unaligned_packet_kernel, dim3(1), 1, {}, values + 1, values + 0).problem,
               "an access is not aligned");
  EXPECT_STREQ(launch(unaligned_packet_kernel, dim3(1), 1, {}, values + 4, values + 2).problem,
               "an access is not aligned");
}

enum class Wait { none, without_barrier, whole };

// Each thread copies four numbers and reads the next thread's.
void copy_kernel(const float* from, float* to, Wait wait) {
  __shared__ Packet<float, 4> shared[32];
  copy_later(shared + threadIdx.x, from + 4 * threadIdx.x);
  if (wait != Wait::none) wait_for_copies();
  if (wait != Wait::without_barrier) __syncthreads();
  to[threadIdx.x] = shared[(threadIdx.x + 1) % 32].at[0];
  wait_for_copies();
}

TEST(Emulation, ACopyIsNotThereBeforeTheWait) {
  alignas(16) float from[4 * 32];
  std::vector<float> to(32);
  for (int i = 0; i < 128; ++i) from[i] = static_cast<float>(i);
  ASSERT_TRUE(launch(copy_kernel, dim3(1), 32, {}, from + 0, to.data(), Wait::whole).ok());
  for (std::size_t t = 0; t < 32; ++t) EXPECT_EQ(to[t], static_cast<float>(4 * ((t + 1) % 32)));
  ASSERT_TRUE(launch(copy_kernel, dim3(1), 32, {}, from + 0, to.data(), Wait::none).ok());
  EXPECT_TRUE(std::isnan(to[0]));
  for (float& value : from) value += 1000;
  ASSERT_TRUE(launch(copy_kernel, dim3(1), 32, {}, from + 0, to.data(), Wait::without_barrier).ok());
  EXPECT_NE(to[0], 1004.0f);
}

void leaves_early_kernel(const float* from) {
  __shared__ Packet<float, 4> shared;
  copy_later(&shared, from);
}

TEST(Emulation, ACopyThatNobodyWaitsForIsAProblem) {
  alignas(16) const float from[4] = {};
  EXPECT_STREQ(launch(leaves_early_kernel, dim3(1), 1, {}, from + 0).problem,
               "a thread ends before its copies are there");
}

}  // namespace
}  // namespace finetune::kernels::cuda
