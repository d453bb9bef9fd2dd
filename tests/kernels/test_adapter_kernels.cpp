// The grouped adapter products on a device against the oracle in kernels/ref, and what they owe to a trial: the same
// bits whoever is in the call. As test_kernels.cpp compiled twice, on a device and emulated.
#include <cstring>

#include "tests/kernels/adapter_case.h"

namespace finetune::kernels::testing {
namespace {

class AdapterKernels : public Kernels {};
INSTANTIATE_TEST_SUITE_P(Types, AdapterKernels, ::testing::Values(Type::f32, Type::bf16));

// Tiles of one token to several chunks of tokens, ranks below 16 and over several parts, sizes that are no multiples of
// 4, 8, 16 or 64, rows at 16 bytes and not, a trial that adapts some projections only, idle groups, rows of nobody.
std::vector<Shape> shapes() {
  return {
      {1, 16, {8}, 8, {group(0, 1, 1, 8, 1)}},
      {63, 70, {33, 100}, 24, {group(0, 63, 2, 24, 3)}, 8},
      {64, 64, {64, 64, 64}, 16, {group(0, 64, 0, 16, 7)}, 0},
      {65, 72, {40, 8, 16}, 40, {group(0, 65, 0, 40, 5, 2.0f, 0.5f)}, 8},
      {130, 200, {72, 130}, 128, {group(0, 1, 0, 128, 3), group(1, 130, 3, 72, 3)}, 0},
      {20, 300, {330}, 16, {group(0, 20, 3, 16, 1)}, 4},
      {34, 130, {70, 16, 72}, 136, {group(0, 17, 3, 136, 1), group(17, 34, 0, 64, 7)}, 6},
      {1025, 24, {17, 40}, 16, {group(0, 1025, 1, 16, 3, 1.0f, 0.5f)}, 8},
      {2150, 8, {9}, 32, {group(0, 33, 0, 8, 1), group(33, 2150, 1, 32, 1)}},
      {90,
       70,
       {33, 100},
       24,
       {group(0, 37, 2, 8, 1, 2.0f), group(37, 45, 0, 24, 3, 0.5f, 0.5f), {}, group(50, 90, 1, 16, 2, 1.0f), {}}},
      {80, 40, {24, 16, 8, 70}, 32, {group(0, 70, 2, 32, 15), group(70, 80, 1, 16, 10, 1.0f, 0.5f)}, 0},
  };
}

// Equal, or nobody wrote either.
bool same(const std::vector<float>& a, const std::vector<float>& b) {
  return std::ranges::equal(a, b, [](float x, float y) { return x == y || (std::isnan(x) && std::isnan(y)); });
}

// Whole numbers, so nothing is rounded but y and dx, where both round: the bits are the oracle's.
TEST_P(AdapterKernels, AreExactOnWholeNumbers) {
  for (const Shape& shape : shapes()) {
    if (GetParam() == Type::f32 && shape.tokens > 1000) continue;  // only in bf16 there are chunks
    SCOPED_TRACE(::testing::Message() << shape.tokens << " tokens, " << shape.inputs << " inputs, rank "
                                      << shape.stored);
    Case c(GetParam(), shape, Numbers::signs, 3);  // more tiles than there are, as when a launch is sized for any pack
    c.run(true);
    c.run(false);
    for (std::size_t i = 0; i < c.y.size(); ++i) {
      EXPECT_TRUE(same(c.s[i]->downloaded(), c.s[i]->host));
      EXPECT_TRUE(same(c.ds[i]->downloaded(), c.ds[i]->host));
      EXPECT_EQ(c.y[i]->actual(), c.y[i]->expected());
      EXPECT_EQ(c.da[i]->downloaded(), c.da[i]->host);
      EXPECT_EQ(c.db[i]->downloaded(), c.db[i]->host);
    }
    EXPECT_EQ(c.dx.actual(), c.dx.expected());
  }
}

// Where anybody wrote.
void expect_written_equal(const Buffer<float>& values, finetune::testing::Bound bound, const char* what) {
  std::vector<float> actual, expected;
  const auto all = values.downloaded();
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (std::isnan(all[i]) && std::isnan(values.host[i])) continue;
    actual.push_back(all[i]), expected.push_back(values.host[i]);
  }
  EXPECT_TRUE(finetune::testing::all_near(std::span<const float>(actual), std::span<const float>(expected), bound))
      << what;
}

// bf16 has 8 bits: a factor that is rounded is off by 2^-8 at most, and by 2^-8 / sqrt(3) over the square root of 2,
// since numbers lie anywhere between powers of two, in the mean: 0.82 x 2^-9. Over the terms of a sum that is as much
// of the sum, and up to three factors of a chain are rounded (A, s and B of y): 0.71 x 2^-8 in the mean. The largest
// error of some ten thousand elements is 4 times that, and the largest of as many normal sums is 4 times their mean as
// well; half as much again for chance.
TEST_P(AdapterKernels, AreWithinTheRoundingOfTheirFactors) {
  const Type type = GetParam();
  const double factors = type == Type::bf16 ? 1.5 * 0.71 * 0x1p-8 : 0;
  for (const Shape& shape :
       {Shape{90,
              70,
              {33, 100},
              24,
              {group(0, 37, 2, 8, 1, 2.0f), group(37, 45, 0, 24, 3, 0.5f, 0.3f), {}, group(50, 90, 1, 16, 2, 1.0f)}},
        Shape{1025, 40, {24}, 16, {group(0, 1025, 1, 16, 1, 1.0f, 0.1f)}, 0}}) {
    Case c(type, shape, Numbers::normals);
    c.run(true);
    c.run(false);
    const auto bound = [&](Type stored) {
      auto all = bound_of(stored, 150);
      all.relative += factors;
      return all;
    };
    for (std::size_t i = 0; i < c.y.size(); ++i) {
      expect_written_equal(*c.s[i], bound(Type::f32), "s");
      expect_equal(*c.y[i], bound(type), "y");
      expect_equal(*c.da[i], bound(Type::f32), "da");
      expect_equal(*c.db[i], bound(Type::f32), "db");
    }
    expect_equal(c.dx, bound(type), "dx");
  }
}

// `part` at element `first` of what is NaN otherwise.
template <typename T>
std::vector<T> within(std::size_t count, const std::vector<T>& part, std::size_t first) {
  std::vector<T> values(count);
  std::memset(values.data(), 0xff, count * sizeof(T));
  std::copy(part.begin(), part.end(), values.begin() + static_cast<std::ptrdiff_t>(first));
  return values;
}
template <typename T>
std::vector<T> part_of(const std::vector<T>& values, std::size_t first, std::size_t count) {
  const auto begin = values.begin() + static_cast<std::ptrdiff_t>(first);
  return {begin, begin + static_cast<std::ptrdiff_t>(count)};
}

// A trial alone; then further back in a pack, in another slot, behind a neighbour and before another, whose numbers are
// NaN. Bit for bit, with dropout too.
TEST_P(AdapterKernels, AreTheSameBitsWhoeverIsBeside) {
  const std::int64_t tokens = GetParam() == Type::bf16 ? 1100 : 100;  // in bf16 two chunks
  const std::int64_t before = 37, after = 70, inputs = 40, rank = 16;
  const std::vector<std::int64_t> outputs = {24, 9};
  for (const float dropout : {0.0f, 0.3f}) {
    const Shape alone{tokens, inputs, outputs, rank, {group(0, tokens, 0, rank, 3, 0.7f, dropout)}, 0};
    const Shape packed{before + tokens + after,
                       inputs,
                       outputs,
                       rank,
                       {group(0, before, 0, 8, 3), group(before, before + tokens, 2, rank, 3, 0.7f, dropout),
                        group(before + tokens, before + tokens + after, 1, rank, 1)},
                       0};
    Case one(GetParam(), alone, Numbers::normals), many(GetParam(), packed, Numbers::normals, 9);
    one.scales.refill({1.5f, 0, 0, 0});
    many.scales.refill({2, 3, 1.5f, 4});
    const auto rows = [&](Activations& to, Activations& from) {
      const std::size_t row = from.bytes().host.size() / static_cast<std::size_t>(tokens);
      to.bytes().refill(within(to.bytes().host.size(), from.bytes().host, before * row));
    };
    const auto slot = [&](Buffer<float>& to, const Buffer<float>& from) {
      const std::size_t size = from.host.size() / Case::kSlots;
      to.refill(within(to.host.size(), part_of(from.host, 0, size), 2 * size));
    };
    rows(many.x, one.x), rows(many.dx, one.dx);
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      rows(*many.y[i], *one.y[i]), rows(*many.dy[i], *one.dy[i]);
      slot(*many.a[i], *one.a[i]), slot(*many.b[i], *one.b[i]);
      slot(*many.da[i], *one.da[i]), slot(*many.db[i], *one.db[i]);
    }
    one.run(false);
    many.run(false);

    const auto same_rows = [&](auto& a, auto& b) {
      const auto mine = a.downloaded();
      return mine == part_of(b.downloaded(), before * (mine.size() / static_cast<std::size_t>(tokens)), mine.size());
    };
    const auto same_slot = [&](auto& a, auto& b) {
      const auto mine = a.downloaded();
      const std::size_t size = mine.size() / Case::kSlots;
      return std::isfinite(mine[0]) && part_of(mine, 0, size) == part_of(b.downloaded(), 2 * size, size);
    };
    EXPECT_TRUE(same_rows(one.dx.bytes(), many.dx.bytes())) << "dx";
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      EXPECT_TRUE(same_rows(*one.s[i], *many.s[i])) << "s";
      EXPECT_TRUE(same_rows(one.y[i]->bytes(), many.y[i]->bytes())) << "y";
      EXPECT_TRUE(same_slot(*one.da[i], *many.da[i])) << "da";
      EXPECT_TRUE(same_slot(*one.db[i], *many.db[i])) << "db";
    }
  }
}

// What a trial gives does not hang on what lay in the scratch, nor on the run.
TEST_P(AdapterKernels, AreTheSameBitsEveryTime) {
  const std::int64_t tokens = GetParam() == Type::bf16 ? 2100 : 100;  // in bf16 three chunks
  const Shape shape{tokens, 24, {16}, 16, {group(0, tokens, 1, 16, 1, 1.0f, 0.3f)}, 0};
  Case one(GetParam(), shape, Numbers::normals), two(GetParam(), shape, Numbers::normals, 40);
  one.run(false);
  two.run(false);
  EXPECT_EQ(one.dx.actual(), two.dx.actual());
  EXPECT_EQ(one.y[0]->actual(), two.y[0]->actual());
  EXPECT_EQ(one.da[0]->downloaded(), two.da[0]->downloaded());
  EXPECT_EQ(one.db[0]->downloaded(), two.db[0]->downloaded());
}

}  // namespace
}  // namespace finetune::kernels::testing
