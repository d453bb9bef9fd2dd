#include <limits>
#include <vector>

#include "support/compare.h"

namespace finetune::testing {
namespace {

using Doubles = std::vector<double>;

::testing::AssertionResult compare(const Doubles& a, const Doubles& b, Bound bound) {
  return all_near(std::span<const double>(a), std::span<const double>(b), bound);
}

TEST(Compare, AcceptsWhatLiesWithinTheBound) {
  EXPECT_TRUE(compare({1.0, 2.0}, {1.0, 2.0}, {}));
  EXPECT_TRUE(compare({1.001}, {1.0}, {.absolute = 0.0011}));
  EXPECT_TRUE(compare({1.001}, {1.0}, {.relative = 0.0011}));
  EXPECT_TRUE(compare({0.001, 100}, {0, 100}, {.relative = 1e-5, .of_largest = true}));
}

TEST(Compare, RejectsWhatDiffers) {
  EXPECT_FALSE(compare({1.002}, {1.0}, {.absolute = 0.001}));
  EXPECT_FALSE(compare({-1.0}, {1.0}, {.absolute = 0.1, .relative = 0.1}));
  EXPECT_FALSE(compare({1.0, 2.0, 3.5}, {1.0, 2.0, 3.0}, {.relative = 0.1}));
}

TEST(Compare, RejectsWhatIsNotFiniteEvenWhenBothSidesAgree) {
  const double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
  EXPECT_FALSE(compare({nan}, {1.0}, {.absolute = 1e9}));
  EXPECT_FALSE(compare({1.0}, {nan}, {.absolute = 1e9}));
  EXPECT_FALSE(compare({nan}, {nan}, {.absolute = 1e9}));
  EXPECT_FALSE(compare({inf}, {inf}, {.absolute = 1e9}));
  EXPECT_FALSE(compare({-inf}, {1.0}, {.relative = 1e9}));
}

TEST(Compare, RejectsWrongSizesAndEmptyInput) {
  EXPECT_FALSE(compare({1.0}, {1.0, 2.0}, {.absolute = 1e9}));
  EXPECT_FALSE(compare({}, {}, {}));
}

}  // namespace
}  // namespace finetune::testing
