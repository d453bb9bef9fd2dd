// Counter-based random numbers: every number is a pure function of (seed, purpose, counters), so nothing depends on
// order, slot, pack, thread or device. Philox4x32-10 (Salmon et al., SC 2011, section 3).
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace finetune {

/// What a stream of random numbers is for. Values are part of the reproducibility contract: never renumber.
enum class Purpose : std::uint32_t {
  init = 1,
  order = 2,
  dropout = 3,
  sampler = 4,
  scheduler = 5,
  split = 6,
  test = 7,
  report = 8,
  noise = 9,
  forecast = 10,
  decoding = 11
};

/// One block of four 32-bit words.
std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key);

/// A stream of numbers for one (seed, purpose, index). Copyable; its whole state is three integers.
class Random {
 public:
  Random(std::uint64_t seed, Purpose purpose, std::uint64_t index = 0);

  std::uint32_t bits32();
  std::uint64_t bits64();
  double uniform();                          ///< in [0, 1), 53 bits
  double uniform(double low, double high);   ///< in [low, high)
  std::uint64_t below(std::uint64_t count);  ///< whole number in [0, count), unbiased; count >= 1
  double normal();                           ///< standard normal (Box-Muller, one of the pair)

  std::uint64_t position() const { return position_; }         ///< numbers drawn so far, in 32-bit words
  void seek(std::uint64_t position) { position_ = position; }  ///< continue from a saved position

 private:
  std::uint64_t seed_, index_, position_ = 0;
  std::uint32_t purpose_;
};

/// A permutation of 0..count-1 (Fisher-Yates) from its own stream.
std::vector<std::int64_t> permutation(std::int64_t count, Random random);

}  // namespace finetune
