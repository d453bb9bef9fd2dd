// Products with weights in bfloat16, by every unit that this processor has, whichever is chosen here.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "core/random.h"
#include "kernels/api/rounded_product.h"
#include "kernels/cpu/rounded_product.h"
#include "kernels/ref/storage.h"

namespace finetune::testing {
namespace {

using kernels::RoundedProduct;
using kernels::Stream;
using kernels::cpu::RoundedUnit;

std::vector<float> numbers(std::int64_t count, std::uint64_t stream) {
  Random random(3, Purpose::test, stream);
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& value : values) value = static_cast<float>(random.uniform(-1, 1));
  return values;
}
std::vector<std::uint16_t> rounded(const std::vector<float>& values) {
  std::vector<std::uint16_t> bits;
  for (const float value : values) bits.push_back(kernels::ref::to_bf16(value));
  return bits;
}

// On as many threads as there are parts, which end where no block does.
template <int Parts>
void in_parts(std::int64_t count, std::int64_t, void (*work)(const void*, std::int64_t, std::int64_t),
              const void* context) {
  for (std::int64_t i = Parts - 1; i >= 0; --i) work(context, count * i / Parts, count * (i + 1) / Parts);
}

struct Sizes {
  std::int64_t rows, inputs, outputs;
};

// A product whose rows lie apart in x, w and y.
struct Case {
  Case(const Sizes& sizes, bool by_inputs, bool accumulate)
      : x(numbers(sizes.rows * (sizes.inputs + 3), 1)),
        y(numbers(sizes.rows * (sizes.outputs + 5), 2)),
        w(rounded(numbers((sizes.inputs + 7) * (sizes.outputs + 7), 3))),
        args{.x = x.data(),
             .x_row = sizes.inputs + 3,
             .w = w.data(),
             .w_row = (by_inputs ? sizes.outputs : sizes.inputs) + 7,
             .by_inputs = by_inputs,
             .y = y.data(),
             .y_row = sizes.outputs + 5,
             .accumulate = accumulate,
             .rows = sizes.rows,
             .inputs = sizes.inputs,
             .outputs = sizes.outputs} {}

  std::vector<float> x, y;
  std::vector<std::uint16_t> w;
  RoundedProduct args;
};

// Of some rows alone.
std::vector<float> result(const RoundedUnit& unit, Case c, std::int64_t first, std::int64_t rows, Stream stream = {}) {
  c.args.x = c.x.data() + first * c.args.x_row;
  c.args.w = c.w.data();
  c.args.y = c.y.data() + first * c.args.y_row;
  c.args.rows = rows;
  EXPECT_TRUE(kernels::cpu::rounded_product_with(unit, c.args, stream).ok());
  return c.y;
}

constexpr Sizes kSizes[] = {{1, 1, 1},     {3, 40, 17},   {16, 32, 32},   {17, 64, 31},
                            {33, 100, 65}, {48, 577, 96}, {70, 1160, 33}, {2050, 70, 20}};

template <typename Visit>
void for_each_case(const Visit& visit) {
  for (const RoundedUnit* unit : kernels::cpu::rounded_units()) {
    for (const Sizes& sizes : kSizes) {
      for (const bool by_inputs : {false, true}) {
        for (const bool accumulate : {false, true}) {
          SCOPED_TRACE(std::string(unit->name) + ": " + std::to_string(sizes.rows) + " x " +
                       std::to_string(sizes.inputs) + " x " + std::to_string(sizes.outputs) +
                       (by_inputs ? ", by inputs" : "") + (accumulate ? ", added" : ""));
          visit(*unit, sizes, Case(sizes, by_inputs, accumulate));
        }
      }
    }
  }
}

// Products are exact, each of the sums is off by 2^-24 of what it is at most, which is below the sum of all sizes.
TEST(RoundedProduct, EqualsTheOracleWithinASumInSingle) {
  for_each_case([](const RoundedUnit& unit, const Sizes& sizes, const Case& c) {
    Case oracle = c, size = c;
    oracle.args.x = oracle.x.data(), oracle.args.w = oracle.w.data(), oracle.args.y = oracle.y.data();
    size.args.x = size.x.data(), size.args.w = size.w.data(), size.args.y = size.y.data();
    for (float& value : size.x) value = std::fabs(value);
    for (float& value : size.y) value = std::fabs(value);
    for (std::uint16_t& bits : size.w) bits &= 0x7fff;
    ASSERT_TRUE(kernels::ref::rounded_product(oracle.args, {}).ok());
    ASSERT_TRUE(kernels::ref::rounded_product(size.args, {}).ok());
    const std::vector<float> actual = result(unit, c, 0, sizes.rows);
    const double share = std::ldexp(static_cast<double>(sizes.inputs + 1), -24);
    for (std::size_t i = 0; i < actual.size(); ++i)
      ASSERT_LE(std::fabs(static_cast<double>(actual[i]) - static_cast<double>(oracle.y[i])),
                share * static_cast<double>(size.y[i]) + 1e-30)
          << i;
  });
}

TEST(RoundedProduct, ARowsBitsDependOnNothingElse) {
  for_each_case([](const RoundedUnit& unit, const Sizes& sizes, const Case& c) {
    const std::vector<float> whole = result(unit, c, 0, sizes.rows);
    const auto same = [&](const std::vector<float>& other, std::int64_t first, std::int64_t rows) {
      const auto from = static_cast<std::size_t>(first * c.args.y_row);
      return std::memcmp(whole.data() + from, other.data() + from,
                         static_cast<std::size_t>(rows * c.args.y_row) * sizeof(float)) == 0;
    };
    EXPECT_TRUE(same(result(unit, c, 0, sizes.rows, {.parallel = in_parts<3>}), 0, sizes.rows));
    for (const std::int64_t rows : {1, 7, 16, 19, 32}) {
      for (const std::int64_t first : {0, 1, 14, 2047}) {
        if (first + rows <= sizes.rows) {
          EXPECT_TRUE(same(result(unit, c, first, rows), first, rows)) << rows << " from " << first;
        }
      }
    }
  });
}

// What a trial that diverged has in its rows stays there.
TEST(RoundedProduct, ARowThatIsNotFiniteTouchesNoOther) {
  for (const RoundedUnit* unit : kernels::cpu::rounded_units()) {
    const Case healthy({20, 50, 40}, false, false);
    Case ill = healthy;
    ill.x[static_cast<std::size_t>(5 * healthy.args.x_row + 3)] = std::numeric_limits<float>::quiet_NaN();
    ill.x[static_cast<std::size_t>(6 * healthy.args.x_row)] = std::numeric_limits<float>::infinity();
    const std::vector<float> expected = result(*unit, healthy, 0, 20), actual = result(*unit, ill, 0, 20);
    for (std::size_t i = 0; i < actual.size(); ++i) {
      const auto row = static_cast<std::int64_t>(i) / healthy.args.y_row;
      const bool inside = static_cast<std::int64_t>(i) % healthy.args.y_row < 40;
      if (row != 5 && row != 6) {
        EXPECT_EQ(actual[i], expected[i]) << unit->name;
      }
      if (row == 5 && inside) {
        EXPECT_TRUE(std::isnan(actual[i])) << unit->name;
      }
    }
  }
}

TEST(RoundedProduct, NothingIsALegalSize) {
  for (const RoundedUnit* unit : kernels::cpu::rounded_units()) {
    for (const Sizes& sizes : {Sizes{0, 4, 4}, Sizes{4, 4, 0}}) result(*unit, Case(sizes, false, false), 0, sizes.rows);
    const std::vector<float> zeros = result(*unit, Case({2, 0, 3}, false, false), 0, 2);
    EXPECT_EQ(zeros[0], 0);
    EXPECT_EQ(zeros[2], 0);
  }
}

}  // namespace
}  // namespace finetune::testing
