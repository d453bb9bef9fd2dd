// Halton points: what scrambling keeps.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <set>

#include "tuners/samplers/halton_points.h"

namespace finetune::testing {
namespace {

// Bases 2, 3, 5, 7: blocks of base^k points, not the first block alone. Exact for permutations of digits; the small
// addition keeps a coordinate that is rounded to just below its stratum from counting with the one before.
TEST(HaltonPoints, EveryBlockFillsEveryStratumOnce) {
  const std::vector<std::uint64_t> blocks{64, 81, 25, 49};
  for (const std::uint64_t seed : {0u, 1u, 77u}) {
    const ScrambledHalton halton(blocks.size(), seed);
    for (std::size_t d = 0; d < blocks.size(); ++d) {
      std::set<std::uint64_t> strata;
      for (std::uint64_t k = 0; k < blocks[d]; ++k) {
        const double x = halton.point(3 * blocks[d] + k)[d];
        EXPECT_GE(x, 0);
        EXPECT_LT(x, 1);
        strata.insert(static_cast<std::uint64_t>(x * static_cast<double>(blocks[d]) + 1e-9));
      }
      EXPECT_EQ(strata.size(), blocks[d]) << "dimension " << d << " seed " << seed;
    }
  }
}

// A permuted digit, not a shared shift: the plain sequence's lock step of large bases (x_16 and x_17 rise together for
// their first points) is gone. The correlation of n random pairs has standard deviation 1/sqrt(n); four of them.
TEST(HaltonPoints, LargeBasesDoNotMoveInLockStep) {
  const ScrambledHalton halton(18, 3);
  double sum = 0;
  for (std::uint64_t k = 0; k < 50; ++k) sum += (halton.point(k)[16] - 0.5) * (halton.point(k)[17] - 0.5) * 12 / 50;
  EXPECT_LT(std::abs(sum), 4 / std::sqrt(50.0));
}

// Every digit has a permutation of its own: one for all of an axis would leave base 2 two values. Of 200 seeds 50 fall
// into each quarter, with standard deviation sqrt(200 x 3/16) = 6.1; five of them.
TEST(HaltonPoints, EachPointIsUniformOverSeeds) {
  for (const std::size_t d : {0, 1, 5}) {
    std::array<int, 4> quarters{};
    for (std::uint64_t seed = 0; seed < 200; ++seed)
      ++quarters[static_cast<std::size_t>(4 * ScrambledHalton(d + 1, seed).point(0)[d])];
    for (const int count : quarters) EXPECT_NEAR(count, 50, 31) << "dimension " << d;
  }
}

TEST(HaltonPoints, AnotherSeedGivesOtherPointsAndMoreDimensionsTheSameFirstOnes) {
  EXPECT_EQ(ScrambledHalton(4, 1).point(9), ScrambledHalton(4, 1).point(9));
  EXPECT_NE(ScrambledHalton(4, 1).point(9), ScrambledHalton(4, 2).point(9));
  EXPECT_EQ(ScrambledHalton(5, 1).point(9)[3], ScrambledHalton(4, 1).point(9)[3]);
}

}  // namespace
}  // namespace finetune::testing
