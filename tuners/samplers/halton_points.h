// Points of the Halton sequence (digits of the index in base p, mirrored, p the d-th prime), scrambled by a random
// permutation of each digit: A. B. Owen, "A randomized Halton algorithm in R" (arXiv 1706.02808, 2017), section 3.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace finetune {

class ScrambledHalton {
 public:
  /// The permutations of a dimension are keyed on the seed and the dimension, so more dimensions leave the first ones
  /// as they are.
  ScrambledHalton(std::size_t dimensions, std::uint64_t seed);
  /// Each coordinate in [0, 1), uniform over seeds; any p^k points in a row from a multiple of p^k have one in each
  /// p^k-th of the axis with base p.
  std::vector<double> point(std::uint64_t index) const;

 private:
  struct Axis {
    std::uint64_t base;
    std::vector<std::vector<std::int64_t>> permutations;  // of the most significant digit of the coordinate first
  };
  std::vector<Axis> axes_;
};

}  // namespace finetune
