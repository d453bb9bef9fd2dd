// Buffers of one case, twice: on the host for the oracle, and where the kernels under test read them.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <span>
#include <vector>

#include "core/random.h"
#include "kernels/ref/storage.h"
#include "support/compare.h"
#include "tests/kernels/implementation.h"

namespace finetune::kernels::testing {

template <typename T>
class Buffer {
 public:
  explicit Buffer(std::vector<T> values)
      : host(std::move(values)), device_(memory().upload(host.data(), host.size() * sizeof(T))) {}
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { memory().release(device_); }
  T* device() { return static_cast<T*>(device_); }
  std::vector<T> downloaded() const {
    std::vector<T> values(host.size());
    memory().download(values.data(), device_, values.size() * sizeof(T));
    return values;
  }
  /// Both become these.
  void refill(std::vector<T> values) {
    host = std::move(values);
    memory().release(device_);
    device_ = memory().upload(host.data(), host.size() * sizeof(T));
  }
  std::vector<T> host;

 private:
  void* device_;
};

/// What matrices are filled with. Products and sums of `signs` (-1, 0 and 1) are whole numbers, exact in bf16 up to 256
/// and in fp32 up to 2^24: whoever computes them has the same bits.
enum class Numbers { normals, signs };
inline double draw(Random& random, Numbers numbers) {
  return numbers == Numbers::signs ? static_cast<double>(random.below(3)) - 1 : random.normal();
}

/// A matrix of activations in either storage type; the gaps between rows hold numbers too, so writing there shows.
class Activations {
 public:
  Activations(Type type, std::int64_t rows, std::int64_t stride, std::uint64_t seed, double scale = 1,
              Numbers numbers = Numbers::normals)
      : type_(type), bytes_(filled(type, rows * stride, seed, scale, numbers)) {}
  void* host() { return bytes_.host.data(); }
  void* device() { return bytes_.device(); }
  Buffer<unsigned char>& bytes() { return bytes_; }
  std::vector<double> expected() const { return numbers(bytes_.host); }
  std::vector<double> actual() const { return numbers(bytes_.downloaded()); }

 private:
  static std::vector<unsigned char> filled(Type type, std::int64_t count, std::uint64_t seed, double scale,
                                           Numbers numbers) {
    std::vector<unsigned char> bytes(static_cast<std::size_t>(count) * (type == Type::f32 ? 4 : 2));
    Random random(seed, Purpose::test);
    for (std::int64_t i = 0; i < count; ++i) ref::write(type, bytes.data(), i, draw(random, numbers) * scale);
    return bytes;
  }
  std::vector<double> numbers(const std::vector<unsigned char>& bytes) const {
    std::vector<double> values(bytes.size() / (type_ == Type::f32 ? 4 : 2));
    for (std::size_t i = 0; i < values.size(); ++i)
      values[i] = ref::read(type_, bytes.data(), static_cast<std::int64_t>(i));
    return values;
  }
  Type type_;
  Buffer<unsigned char> bytes_;
};

inline std::vector<float> floats(std::int64_t count, std::uint64_t seed, Numbers numbers, double scale = 1) {
  std::vector<float> values(static_cast<std::size_t>(count));
  Random random(seed, Purpose::test);
  for (float& value : values) value = static_cast<float>(draw(random, numbers) * scale);
  return values;
}
inline std::vector<float> normals(std::int64_t count, std::uint64_t seed, double scale = 1) {
  return floats(count, seed, Numbers::normals, scale);
}

/// fp32 sums of `terms` products against the same in double: terms / 2 roundings of 6e-8 in the mean, of the largest
/// value; one more step of the storage type where fp32 and double round to different neighbours (bf16: 2^-8).
inline finetune::testing::Bound bound_of(Type type, double terms) {
  const double sums = 6e-8 * (8 + terms / 2);
  return {.absolute = 1e-7, .relative = sums + (type == Type::bf16 ? 0x1p-7 : 0), .of_largest = true};
}

inline void expect_equal(const Activations& values, finetune::testing::Bound bound, const char* what) {
  const auto actual = values.actual(), expected = values.expected();
  EXPECT_TRUE(finetune::testing::all_near(std::span<const double>(actual), std::span<const double>(expected), bound))
      << what;
}
/// Rounded at the same places: a sum in fp32 lies on the other side of a tie than the oracle's once in some hundred.
inline void expect_same_rounding(const Activations& values, const char* what) {
  const auto actual = values.actual(), expected = values.expected();
  std::size_t differ = 0;
  for (std::size_t i = 0; i < actual.size(); ++i) differ += actual[i] != expected[i] ? 1 : 0;
  EXPECT_LE(differ, 1 + actual.size() / 50) << what << ", of " << actual.size();
}
template <typename T>
void expect_equal(const Buffer<T>& values, finetune::testing::Bound bound, const char* what) {
  const auto actual = values.downloaded();
  EXPECT_TRUE(finetune::testing::all_near(std::span<const T>(actual), std::span<const T>(values.host), bound)) << what;
}

/// Each case in both storage types; skipped, and counted as skipped, where nothing can run the kernels.
class Kernels : public ::testing::TestWithParam<Type> {
 protected:
  void SetUp() override {
    if (skipped() != nullptr) GTEST_SKIP() << skipped();
  }
};

}  // namespace finetune::kernels::testing
