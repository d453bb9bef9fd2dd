// Work on all cores: each thing once, and what is thrown.
#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <vector>

#include "data/all_cores.h"

namespace finetune::testing {
namespace {

TEST(AllCores, DoEachThingOnce) {
  for (const std::size_t count : {0, 1, 31, 32, 33, 5000}) {
    std::vector<std::atomic<int>> done(count);
    on_all_cores(count, [&](std::size_t i) { ++done[i]; });
    for (const auto& times : done) ASSERT_EQ(times, 1) << count;
  }
}

TEST(AllCores, ThrowWhatOneOfThemThrew) {
  std::atomic<int> done{0};
  const auto work = [&](std::size_t i) {
    if (i == 700) throw std::runtime_error("700");
    ++done;
  };
  EXPECT_THROW(on_all_cores(100'000, work), std::runtime_error);
  EXPECT_LT(done, 99'999) << "the rest is not begun";
}

}  // namespace
}  // namespace finetune::testing
