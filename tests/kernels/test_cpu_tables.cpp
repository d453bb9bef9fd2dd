// What is compiled for each instruction set, in each that this processor has, also those that are not chosen here.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "core/random.h"
#include "kernels/api/dropout.h"
#include "kernels/api/rotary.h"
#include "kernels/cpu/table.h"

namespace finetune::testing {
namespace {

using kernels::cpu::Into;
using kernels::cpu::Table;

std::vector<const Table*> tables() {
  std::vector<const Table*> all{&kernels::cpu::table_base()};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) all.push_back(&kernels::cpu::table_avx2());
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq"))
    all.push_back(&kernels::cpu::table_avx512());
  return all;
}

std::vector<float> numbers(std::int64_t count) {
  static Random random(3, Purpose::test);
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& value : values) value = static_cast<float>(random.uniform(-1, 1));
  return values;
}

// An element that a product of one row and one column gives is the same bits in every block of rows and columns; x may
// lie by rows or by columns.
TEST(CpuTables, AnElementOfAProductIsTheSameInEveryBlock) {
  constexpr std::int64_t kRows = 37, kColumns = 71, kDepth = 19, kApart = 3;
  const std::vector<float> x = numbers(kRows * kDepth), b = numbers(kDepth * kColumns),
                           before = numbers(kRows * (kColumns + kApart));
  for (const Table* table : tables()) {
    for (const Into into : {Into::write, Into::add, Into::extend}) {
      for (const bool by_row : {true, false}) {
        const float alpha = into == Into::extend ? 1.0f : 0.3f;
        const auto product = [&](std::int64_t row, std::int64_t rows, std::int64_t column, std::int64_t columns,
                                 std::vector<float>& c) {
          const std::int64_t x_row = by_row ? kDepth : 1, x_k = by_row ? 1 : kRows, c_row = kColumns + kApart;
          table->product({.x = x.data() + row * x_row,
                          .x_row = x_row,
                          .x_k = x_k,
                          .b = b.data() + column,
                          .b_row = kColumns,
                          .c = c.data() + row * c_row + column,
                          .c_row = c_row,
                          .rows = rows,
                          .n = columns,
                          .depth = kDepth,
                          .alpha = alpha,
                          .into = into});
        };
        std::vector<float> whole = before, single = before;
        product(0, kRows, 0, kColumns, whole);
        for (std::int64_t r = 0; r < kRows; ++r) {
          for (std::int64_t c = 0; c < kColumns; ++c) product(r, 1, c, 1, single);
        }
        EXPECT_EQ(0, std::memcmp(whole.data(), single.data(), whole.size() * sizeof(float))) << table->name;
        for (const std::int64_t column : {0, 50, 70}) {
          const auto at = [&](std::int64_t k) {
            return static_cast<double>(x[static_cast<std::size_t>(by_row ? 30 * kDepth + k : k * kRows + 30)]) *
                   static_cast<double>(b[static_cast<std::size_t>(k * kColumns + column)]);
          };
          const auto place = static_cast<std::size_t>(30 * (kColumns + kApart) + column);
          double expected = 0;
          for (std::int64_t k = 0; k < kDepth; ++k) expected += at(k);
          expected =
              expected * static_cast<double>(alpha) + (into == Into::write ? 0.0 : static_cast<double>(before[place]));
          EXPECT_NEAR(whole[place], expected, 1e-5) << table->name;
        }
      }
    }
  }
}

// A sum that goes on where another ended is one sum.
TEST(CpuTables, AProductInPartsIsOneChain) {
  constexpr std::int64_t kRows = 16, kColumns = 48, kDepth = 100;
  const std::vector<float> x = numbers(kRows * kDepth), b = numbers(kDepth * kColumns);
  for (const Table* table : tables()) {
    const auto extend = [&](std::int64_t first, std::int64_t depth, std::vector<float>& c) {
      table->product({.x = x.data() + first,
                      .x_row = kDepth,
                      .x_k = 1,
                      .b = b.data() + first * kColumns,
                      .b_row = kColumns,
                      .c = c.data(),
                      .c_row = kColumns,
                      .rows = kRows,
                      .n = kColumns,
                      .depth = depth,
                      .into = Into::extend});
    };
    std::vector<float> whole(kRows * kColumns), parts(kRows * kColumns);
    extend(0, kDepth, whole);
    extend(0, 64, parts);
    extend(64, kDepth - 64, parts);
    EXPECT_EQ(whole, parts) << table->name;
  }
}

TEST(CpuTables, Transposition) {
  for (const Table* table : tables()) {
    for (const auto& [rows, columns] : {std::pair{1, 1}, {16, 16}, {32, 48}, {37, 21}, {7, 65}}) {
      const std::vector<float> from = numbers(rows * (columns + 2)), before = numbers(columns * (rows + 3));
      for (const bool add : {false, true}) {
        std::vector<float> to = before;
        table->transpose({.from = from.data(),
                          .row = columns + 2,
                          .to = to.data(),
                          .to_row = rows + 3,
                          .rows = rows,
                          .columns = columns,
                          .alpha = 0.5f,
                          .add = add});
        for (std::int64_t c = 0; c < columns; ++c) {
          for (std::int64_t r = 0; r < rows + 3; ++r) {
            const auto place = static_cast<std::size_t>(c * (rows + 3) + r);
            const float turned = r < rows ? 0.5f * from[static_cast<std::size_t>(r * (columns + 2) + c)] : 0;
            EXPECT_EQ(to[place], r >= rows ? before[place] : add ? before[place] + turned : turned) << table->name;
          }
        }
      }
    }
  }
}

TEST(CpuTables, DropoutIsThatOfPhilox) {
  kernels::AdapterGroup group{.dropout = 0.3f, .seed = 0x123456789ABCDEFULL, .step = 77, .token_base = 4'000'000'000};
  for (const Table* table : tables()) {
    for (std::int64_t width = 1; width < 300; width += 7) {
      std::vector<float> expected(static_cast<std::size_t>(width)), actual(static_cast<std::size_t>(width) + 1, 9.0f);
      kernels::dropout_row(group, 5, width, expected.data(), width);
      table->dropout_row(kernels::dropout_row_of(group, 5, width), actual.data(), width);
      EXPECT_EQ(actual.back(), 9.0f);
      actual.pop_back();
      EXPECT_EQ(actual, expected) << table->name << " " << width;
    }
  }
}

// Heads of one register, of several, and of parts of one.
TEST(CpuTables, RotaryIsThatOfTheOracle) {
  constexpr std::int64_t kRows = 5, kHeads = 3;
  const std::vector<std::int32_t> positions{3, 0, 1, 2, 3};
  for (const std::int64_t dim : {2, 4, 6, 8, 16, 18, 32, 64}) {
    const std::vector<float> start = numbers(kRows * kHeads * dim), cosines = numbers(4 * dim / 2),
                             sines = numbers(4 * dim / 2);
    for (const bool inverse : {false, true}) {
      std::vector<float> expected = start;
      const auto args = [&](std::vector<float>& x) {
        return kernels::Rotary{kernels::Type::f32,
                               x.data(),
                               kHeads * dim,
                               dim,
                               cosines.data(),
                               sines.data(),
                               positions.data(),
                               inverse,
                               kRows,
                               kHeads,
                               dim};
      };
      EXPECT_TRUE(kernels::ref::rotary(args(expected), {}).ok());
      for (const Table* table : tables()) {
        std::vector<float> actual = start;
        table->rotary(args(actual), 0, kRows);
        for (std::size_t i = 0; i < actual.size(); ++i)
          EXPECT_NEAR(actual[i], expected[i], 3e-7) << table->name << " " << dim;
      }
    }
  }
}

}  // namespace
}  // namespace finetune::testing
