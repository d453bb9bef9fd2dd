// The factors of a Parzen estimator's kernels along one axis.
//
// A numerical kernel is a normal distribution cut to the axis, of logarithms where the axis is logarithmic, and its
// mass over half a step to each side where there are steps. A categorical kernel gives most to the choice it stands on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace finetune {

constexpr double kPriorWeight = 1;  ///< of the prior, beside an observation's at most 1

/// One dimension of the space.
struct ParzenAxis {
  double low = 0, high = 0;  ///< the lowest and the highest value
  double step = 0;           ///< distance of neighbouring values; 0: a continuum
  bool log = false;
  std::int64_t choices = 0;  ///< above 0: categorical; a value is the index of a choice
};

/// How wide a numerical kernel is, before it is held between width / min(100, 1 + kernels) and width.
enum class Bandwidth {
  neighbours,  ///< the larger distance to the next observations, ends of the range included but for the outer two
  dimensions   ///< 0.2 n^(-1 / (d + 4)) of the width, the same for all
};

/// The kernels along one axis; the last one is the prior. Positions are logarithms where the axis is logarithmic.
struct AxisKernels {
  ParzenAxis axis;
  double from = 0, to = 0;            ///< ends of the axis, half a step wider where there are steps
  std::vector<double> centre, sigma;  ///< [K]; categorical: centre is the choice's index, -1 for the prior
  std::vector<double> inverse_sigma;  ///< [K]
  std::vector<std::int32_t> kind;     ///< [K] with steps: kernels of one kind are the same
  std::vector<std::int32_t> example;  ///< [kinds] a kernel of each kind
};

/// `observed`: oldest first, every value on the axis. `dimensions`: how many axes are estimated together.
AxisKernels kernels_along(const ParzenAxis& axis, std::vector<double> observed, Bandwidth bandwidth,
                          std::size_t dimensions);

/// What a value on a stepped axis stands for; logarithms where the axis is logarithmic.
struct Cell {
  double low, high;
};
Cell cell_of(const ParzenAxis& axis, double x);

/// What a categorical kernel gives to the choice it stands on and to each other, and the prior to each.
struct Shares {
  double own, other, prior;
};
Shares shares(const AxisKernels& kernels);

}  // namespace finetune
