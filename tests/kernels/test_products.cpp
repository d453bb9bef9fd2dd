// What the isolation contract takes for granted of LibTorch's matrix products on CPU: a row of a product has the same
// bits whatever the number of rows and wherever they lie, once every thread's part has 8 rows. Another BLAS may differ.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "kernels/torch/ops.h"

namespace finetune::testing {
namespace {

class Products : public ::testing::TestWithParam<std::pair<std::int64_t, std::int64_t>> {
 protected:
  void SetUp() override { at::manual_seed(1); }
  static void rows_are_stable(const at::Tensor& x, const at::Tensor& b) {
    const int before = at::get_num_threads();
    const at::Tensor whole = at::mm(x, b);
    for (const int threads : {1, 2}) {
      at::set_num_threads(threads);
      for (const std::int64_t rows : {16, 17, 19, 31, 64, 100, 333, 1000}) {
        for (const std::int64_t first : {0, 3, 57}) {
          EXPECT_TRUE(at::equal(at::mm(x.narrow(0, first, rows), b), whole.narrow(0, first, rows)))
              << rows << " rows from " << first << ", " << threads << " threads";
        }
      }
    }
    at::set_num_threads(before);
  }
};

TEST_P(Products, RowsOfAForwardProductAreStable) {
  const auto [depth, columns] = GetParam();
  rows_are_stable(at::randn({1100, depth}), at::randn({columns, depth}).t());
}

TEST_P(Products, RowsOfABackwardProductAreStable) {
  const auto [depth, columns] = GetParam();
  rows_are_stable(at::randn({1100, depth}), at::randn({depth, columns}));
}

TEST_P(Products, AddingToAResidualKeepsRowsStable) {
  const auto [depth, columns] = GetParam();
  const at::Tensor x = at::randn({1100, depth}), b = at::randn({columns, depth}).t(), c = at::randn({1100, columns});
  const at::Tensor whole = at::addmm(c, x, b);
  for (const std::int64_t rows : {16, 19, 100, 333}) {
    EXPECT_TRUE(at::equal(at::addmm(c.narrow(0, 5, rows), x.narrow(0, 5, rows), b), whole.narrow(0, 5, rows)))
        << rows << " rows";
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, Products,
                         ::testing::Values(std::pair{20, 60}, std::pair{27, 20}, std::pair{36, 20}, std::pair{128, 256},
                                           std::pair{384, 128}, std::pair{128, 2048}));

// Deep ones of few outputs MKL cuts along the depth where rows are few for the threads there are; ops::product does not
// let it.
class DeepProducts : public Products {};

TEST_P(DeepProducts, RowsAreStableInSlices) {
  const auto [depth, columns] = GetParam();
  const at::Tensor x = at::randn({1100, depth}), c = at::randn({1100, columns});
  const int before = at::get_num_threads();
  for (const at::Tensor& w : {at::randn({depth, columns}), at::randn({columns, depth}).t()}) {
    at::Tensor whole = at::empty({1100, columns}), added = c.clone();
    ops::product(x, w, whole, false);
    ops::product(x, w, added, true);
    // Two orders of a sum of `depth` products of numbers near 1: it grows as the root of the depth, and so do roundings
    // of 6e-8 of it.
    EXPECT_LT((whole - at::mm(x, w)).abs().max().item<double>(), 2e-7 * static_cast<double>(depth));
    for (const int threads : {1, 2}) {
      at::set_num_threads(threads);
      for (const std::int64_t rows : {24, 64, 100, 512}) {
        at::Tensor part = at::empty({rows, columns}), sum = c.narrow(0, 7, rows).clone();
        ops::product(x.narrow(0, 7, rows), w, part, false);
        ops::product(x.narrow(0, 7, rows), w, sum, true);
        EXPECT_TRUE(at::equal(part, whole.narrow(0, 7, rows))) << rows << " rows, " << threads << " threads";
        EXPECT_TRUE(at::equal(sum, added.narrow(0, 7, rows))) << rows << " rows, " << threads << " threads, added";
      }
    }
    at::set_num_threads(before);
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, DeepProducts,
                         ::testing::Values(std::pair{2048, 128}, std::pair{1536, 576}, std::pair{900, 128},
                                           std::pair{49152, 64}));

}  // namespace
}  // namespace finetune::testing
