// run.profile: the work of small shapes counted by hand, scopes inside one another, and the table's arithmetic.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>

#include "engine/profile_table.h"
#include "kernels/torch/ops.h"

namespace finetune::testing {
namespace {

using ops::Part;
using ops::Phase;
using ops::Profile;
using ops::Work;

TEST(Work, OfAProduct) {
  const Work plain = ops::product_work(2, 3, 5, 4, false), added = ops::product_work(2, 3, 5, 2, true);
  EXPECT_EQ(plain.flops, 60);
  EXPECT_EQ(plain.bytes, 4 * (6 + 15 + 10));
  EXPECT_EQ(added.bytes, 2 * (6 + 15 + 20));
}

TEST(Work, OfAnAdapter) {
  const Work forward = ops::adapter_forward_work(10, 3, 5, 2, 4);
  EXPECT_EQ(forward.flops, 2 * 10 * 2 * (3 + 5));
  EXPECT_EQ(forward.bytes, 4 * (2 * (3 + 5) + 10 * 2) + 2 * 4 * 10 * 5);
  const Work backward = ops::adapter_backward_work(10, 3, 5, 2, 4, true);
  EXPECT_EQ(backward.flops, 2 * forward.flops);
  EXPECT_EQ(ops::adapter_backward_work(10, 3, 5, 2, 4, false).flops, backward.flops - 2 * 10 * 2 * 3);
}

TEST(Work, OfAttentionOverSegments) {
  const std::vector<std::int32_t> bounds{0, 3, 7};
  ops::AttentionShape shape{.bounds = bounds, .heads = 2, .kv_heads = 1, .dim = 4, .window = 0, .size = 4};
  // 6 and 10 pairs.
  EXPECT_EQ(ops::attention_forward_work(shape).flops, 2 * 16 * (4 * 4 + ops::kExponentialFlops));
  EXPECT_EQ(ops::attention_forward_work(shape).bytes, 4 * 7 * 4 * (2 * 2 + 2 * 1));
  shape.window = 2;  // 1 + 2 + 2 and 1 + 2 + 2 + 2
  EXPECT_EQ(ops::attention_backward_work(shape).flops, 2 * 12 * (10 * 4 + ops::kExponentialFlops));
}

TEST(Profile, WithoutOneNothingIsAsked) {
  EXPECT_EQ(ops::profile_in_use(), nullptr);
  const ops::Timed timed(Part::base, []() -> Work { throw std::logic_error("asked"); });
}

TEST(Profile, AnInnerPartAddsItsWorkToTheOuterOne) {
  Profile profile;
  {
    const ops::UseProfile use(&profile);
    const ops::Timed outer(Part::evaluation);
    const ops::Timed inner(Part::base, [] { return Work{.flops = 8, .bytes = 3}; });
  }
  EXPECT_EQ(ops::profile_in_use(), nullptr);
  EXPECT_EQ(profile.of(Part::base, Phase::forward).calls, 0);
  EXPECT_EQ(profile.of(Part::evaluation, Phase::forward).calls, 1);
  EXPECT_EQ(profile.of(Part::evaluation, Phase::forward).work.flops, 8);
  EXPECT_GE(profile.busy, profile.of(Part::evaluation, Phase::forward).seconds);
}

TEST(Profile, OperationsAreTimedWithTheirWorkAndDirection) {
  Profile profile;
  const at::Tensor x = at::ones({2, 3}), w = at::ones({3, 5});
  at::Tensor y = at::empty({2, 5});
  ops::product(x, w, y, false);
  const ops::UseProfile use(&profile);
  ops::product(x, w, y, false);
  {
    const ops::InBackward backward;
    ops::product(x, w, y, true);
    ops::product(x, w, y, true);
  }
  ops::product(x, w, y, false);
  EXPECT_EQ(profile.of(Part::base, Phase::forward).calls, 2);
  EXPECT_EQ(profile.of(Part::base, Phase::backward).calls, 2);
  EXPECT_EQ(profile.of(Part::base, Phase::forward).work.flops, 120);
}

Profile lane(double first, double last, double busy) {
  const auto at = [](double seconds) {
    return Profile::Clock::time_point(std::chrono::nanoseconds(static_cast<std::int64_t>(seconds * 1e9)));
  };
  Profile profile;
  profile.first = at(first);
  profile.last = at(last);
  profile.busy = busy;
  profile.steps = 2;
  return profile;
}
ops::PartTotal& part(Profile& profile, Part part) {
  return profile.parts[static_cast<std::size_t>(part)][0];
}

TEST(ProfileTable, SharesAddUpAndLanesAreSummed) {
  std::vector<Profile> lanes{lane(1, 5, 3), lane(2, 6, 4)};  // five seconds by the clock
  part(lanes[0], Part::base) = {.calls = 3, .seconds = 1, .work = {.flops = 4e9, .bytes = 1e9}};
  part(lanes[1], Part::base) = {.calls = 4, .seconds = 1.5, .work = {.flops = 6e9, .bytes = 1e9}};
  part(lanes[1], Part::glu) = {.calls = 1, .seconds = 3, .work = {.flops = 1e9, .bytes = 3e9}};
  const ProfileTable table = profile_table(lanes);
  EXPECT_DOUBLE_EQ(table.wall, 5);
  EXPECT_EQ(table.steps, 4);
  ASSERT_EQ(table.idle.size(), 2u);
  EXPECT_NEAR(table.idle[0], 0.4, 1e-12);
  EXPECT_NEAR(table.idle[1], 0.2, 1e-12);
  ASSERT_EQ(table.rows.size(), 4u);
  EXPECT_EQ(table.rows[0].part, "gated units");
  EXPECT_EQ(table.rows[1].part, "products of the base");
  EXPECT_EQ(table.rows[1].calls, 7);
  EXPECT_DOUBLE_EQ(table.rows[1].seconds, 2.5);
  EXPECT_DOUBLE_EQ(table.rows[1].work.flops, 1e10);
  double all = 0;
  for (const ProfileRow& row : table.rows) all += row.seconds;
  EXPECT_DOUBLE_EQ(all, 2 * table.wall);
  // Half of 8 GFLOP/s is a lane's: 1e10 in 2.5 s at the least; the copy would take less.
  EXPECT_DOUBLE_EQ(share_of_ceiling(table.rows[1], {.flops = 8e9, .bytes = 4e9}, 2), 1);
  EXPECT_DOUBLE_EQ(share_of_ceiling(table.rows[0], {.flops = 8e9, .bytes = 4e9}, 2), 0.5);
  EXPECT_TRUE(std::isnan(share_of_ceiling(table.rows[0], {}, 2)));
}

}  // namespace
}  // namespace finetune::testing
