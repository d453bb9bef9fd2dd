// Numbers: text and JSON give the same double back; random numbers are the published generator's.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>

#include "core/error.h"
#include "core/number.h"
#include "core/random.h"
#include "core/value.h"

namespace finetune::testing {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

TEST(Number, EveryDoubleReadsBackAsItself) {
  Random random(7, Purpose::test);
  for (int i = 0; i < 20000; ++i) {
    const auto value = std::bit_cast<double>(random.bits64());
    if (!std::isfinite(value)) continue;
    ASSERT_EQ(number_from_text(number_to_text(value)), value);
    ASSERT_EQ(number_from_json(nlohmann::ordered_json::parse(number_to_json(value).dump())), value);
  }
  for (const double value : {0.0, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 0.1, 1.0 / 3, 1e23}) {
    EXPECT_EQ(number_from_text(number_to_text(value)), value);
  }
  EXPECT_TRUE(std::signbit(*number_from_text(number_to_text(-0.0))));
}

TEST(Number, ThreeWordsStandForWhatJsonLacks) {
  EXPECT_EQ(number_to_json(kInfinity), "inf");
  EXPECT_EQ(number_to_json(-kInfinity), "-inf");
  EXPECT_EQ(number_to_json(std::nan("")), "nan");
  EXPECT_EQ(number_from_json("-inf"), -kInfinity);
  EXPECT_TRUE(std::isnan(number_from_json("nan")));
  for (const char* other : {"Infinity", "NaN", "1", "", "+inf"}) EXPECT_THROW(number_from_json(other), Error) << other;
  EXPECT_THROW(number_from_json(nullptr), Error);
}

TEST(Number, OnlyAWholeTextIsANumber) {
  for (const char* text : {"", " 1", "1 ", "1x", "0x10", "1,5", "infinity", "nan(1)", "--1", "1e999"}) {
    EXPECT_FALSE(number_from_text(text)) << text;
  }
  EXPECT_EQ(number_from_text("3e-4"), 3e-4);
}

TEST(ParameterValue, KeepsItsKindThroughJson) {
  const Params params{{"i", std::int64_t{8}}, {"d", 8.0}, {"s", std::string("8")}, {"b", true}, {"n", kInfinity}};
  const auto back = params_from_json(nlohmann::ordered_json::parse(to_json(params).dump()));
  ASSERT_EQ(back.size(), params.size());
  for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(back[i], params[i]);
  EXPECT_EQ(back[4].second, Value(std::string("inf")));  // a word; who reads it as a number uses number_from_json
  EXPECT_THROW(value_from_json(nullptr), Error);
  EXPECT_THROW(as_number(Value(std::string("8"))), Error);
}

// The known answers of the generator's authors: Random123's kat_vectors, lines "philox4x32 10".
TEST(ParameterValue, IsEqualToItselfInEveryNotation) {
  const std::int64_t large = (std::int64_t{1} << 53) + 1;
  EXPECT_TRUE(same_value(std::int64_t{8}, 8.0));
  EXPECT_TRUE(same_value(8.0, std::int64_t{8}));
  EXPECT_TRUE(same_value(3e-4, 0.0003));
  EXPECT_TRUE(same_value(0.0, std::int64_t{0}));
  EXPECT_TRUE(same_value(-0.0, 0.0));
  EXPECT_TRUE(same_value(std::string("8"), std::string("8")));
  EXPECT_FALSE(same_value(std::int64_t{8}, std::string("8")));
  EXPECT_FALSE(same_value(8.5, std::int64_t{8}));
  EXPECT_FALSE(same_value(true, std::int64_t{1}));
  EXPECT_FALSE(same_value(large, static_cast<double>(large))) << "the double is its neighbour";
  EXPECT_FALSE(same_value(INT64_MAX, 0x1p63));
  EXPECT_EQ(value_from_json(nlohmann::ordered_json::parse("9223372036854775807")), Value(INT64_MAX));
  EXPECT_EQ(value_from_json(nlohmann::ordered_json::parse("18446744073709551615")), Value(0x1p64));
}

TEST(SteppedValue, IsTheDecimalThatPeopleWrite) {
  // For every decimal step: the double nearest to the decimal, which the parser gives for its text.
  std::int64_t one = 1;
  for (const char* exponent : {"", "e-1", "e-2", "e-3", "e-4", "e-5", "e-6", "e-7"}) {
    const auto written = [&](std::int64_t k) { return *number_from_text(std::to_string(k) + exponent); };
    for (std::int64_t k = -1000; k <= 1000; ++k) {
      ASSERT_EQ(stepped_value(0, written(1), k), written(k)) << k << exponent;
      ASSERT_EQ(stepped_value(1, written(3), k), written(one + 3 * k)) << k << exponent;
    }
    one *= 10;
  }
  EXPECT_EQ(number_to_text(stepped_value(0, 0.1, 3)), "0.3");
  EXPECT_EQ(number_to_text(stepped_value(0.05, 0.15, 3)), "0.5");
  EXPECT_EQ(number_to_text(stepped_value(1e-5, 3e-6, 4)), "2.2e-05");
  EXPECT_EQ(number_to_text(stepped_value(-0.3, 0.1, 3)), "0") << "not -0 and not 5.6e-17";
  EXPECT_EQ(stepped_value(1.0 / 3, 1.0 / 7, 2), 1.0 / 3 + 2 * (1.0 / 7)) << "no decimals that would be shorter";
  EXPECT_EQ(stepped_value(1e15, 0.1, 7), 1e15 + 7 * 0.1) << "more digits than a double has";
  EXPECT_EQ(stepped_value(5e-324, 5e-324, 2), 1.5e-323);
}

TEST(Philox, GivesTheKnownAnswers) {
  using Words = std::array<std::uint32_t, 4>;
  EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}), (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(RandomStream, IsAFunctionOfSeedPurposeIndexAndPosition) {
  const auto first = [](std::uint64_t seed, Purpose purpose, std::uint64_t index) {
    return Random(seed, purpose, index).bits64();
  };
  const std::set<std::uint64_t> different{
      first(0, Purpose::init, 0),  first(1, Purpose::init, 0), first(std::uint64_t{1} << 32, Purpose::init, 0),
      first(0, Purpose::order, 0), first(0, Purpose::init, 1), first(0, Purpose::init, std::uint64_t{1} << 32)};
  EXPECT_EQ(different.size(), 6u);
  Random whole(3, Purpose::test), resumed(3, Purpose::test);
  for (int i = 0; i < 7; ++i) whole.bits32();
  resumed.seek(whole.position());
  EXPECT_EQ(resumed.bits64(), whole.bits64());
}

TEST(RandomStream, CoversItsRangesEvenly) {
  Random random(11, Purpose::test);
  std::vector<int> counts(7);
  double sum = 0, normal_sum = 0, normal_squares = 0;
  const int n = 70000;
  for (int i = 0; i < n; ++i) {
    ++counts[random.below(7)];
    const double u = random.uniform(2, 4), z = random.normal();
    ASSERT_TRUE(u >= 2 && u < 4);
    sum += u;
    normal_sum += z;
    normal_squares += z * z;
  }
  // Five standard deviations each: sqrt(n 6/49) = 93; 2/sqrt(12 n) = 0.0022; 1/sqrt(n) = 0.0038; sqrt(2/n) = 0.0053.
  for (const int count : counts) EXPECT_NEAR(count, n / 7.0, 465);
  EXPECT_NEAR(sum / n, 3, 0.011);
  EXPECT_NEAR(normal_sum / n, 0, 0.019);
  EXPECT_NEAR(normal_squares / n, 1, 0.027);
  EXPECT_EQ(random.below(1), 0u);
}

TEST(Permutation, HoldsEachNumberOnceAndDependsOnItsStream) {
  auto order = permutation(1000, Random(5, Purpose::order, 0));
  EXPECT_EQ(order, permutation(1000, Random(5, Purpose::order, 0)));
  EXPECT_NE(order, permutation(1000, Random(5, Purpose::order, 1)));
  std::vector<std::int64_t> sorted(order);
  std::sort(sorted.begin(), sorted.end());
  std::vector<std::int64_t> all(1000);
  std::iota(all.begin(), all.end(), 0);
  EXPECT_EQ(sorted, all);
  EXPECT_NE(order, all);
  EXPECT_TRUE(permutation(0, Random(5, Purpose::order)).empty());
  // Part of the reproducibility contract: the order of a small epoch never changes between versions.
  EXPECT_EQ(permutation(5, Random(0, Purpose::order, 0)), (std::vector<std::int64_t>{3, 0, 1, 4, 2}));
}

}  // namespace
}  // namespace finetune::testing
