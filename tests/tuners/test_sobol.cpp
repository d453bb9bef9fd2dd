// Sobol points against scipy 1.17.1 (scipy.stats.qmc.Sobol(128, scramble=False).random(64)), and what scrambling keeps.
#include <gtest/gtest.h>

#include <set>

#include "tuners/samplers/sobol_points.h"

namespace finetune::testing {
namespace {

// All 64 x 128 coordinates in one number: h = h x 1000003 + coordinate x 2^32, modulo 2^64. They are exact in binary.
TEST(SobolPoints, TheFirstSixtyFourPointsAreThoseOfScipy) {
  std::uint64_t hash = 0;
  for (std::uint32_t index = 0; index < 64; ++index) {
    for (std::size_t d = 0; d < kSobolDimensions; ++d) hash = hash * 1000003 + sobol_bits(index, d);
  }
  EXPECT_EQ(hash, 7117826511117221888u);
}

// One of the first 64 points in each 64th of every axis, whatever the seed, beyond the table too: exact for nested
// scrambling.
TEST(SobolPoints, ScrambledPointsFillEveryStratumOnce) {
  for (const std::uint64_t seed : {0u, 1u, 77u}) {
    std::vector<std::set<int>> strata(140);
    for (std::uint32_t index = 0; index < 64; ++index) {
      const auto point = sobol_point(index, strata.size(), seed);
      for (std::size_t d = 0; d < strata.size(); ++d) strata[d].insert(static_cast<int>(point[d] * 64));
    }
    for (std::size_t d = 0; d < strata.size(); ++d) EXPECT_EQ(strata[d].size(), 64u) << "dimension " << d;
  }
}

TEST(SobolPoints, AnotherSeedGivesOtherPointsAndTheSameSeedTheSame) {
  EXPECT_EQ(sobol_point(9, 6, 1), sobol_point(9, 6, 1));
  EXPECT_NE(sobol_point(9, 6, 1), sobol_point(9, 6, 2));
}

}  // namespace
}  // namespace finetune::testing
