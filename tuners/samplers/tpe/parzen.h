// The Parzen estimator of TPE: a mixture with one product kernel per observed configuration and one, the prior, over
// the whole space (Bergstra et al., NIPS 2011, section 4; Watanabe, arXiv 2304.11127, section 3.3). Plain values.
//
// A numerical kernel is a normal distribution cut to the axis, of logarithms where the axis is logarithmic, and its
// mass over half a step to each side where there are steps. A categorical kernel gives most to the choice it stands on.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/random.h"

namespace finetune {

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

struct Parzen {
  std::vector<double> weight;        ///< [K], sums to 1; the prior last
  std::vector<double> log_constant;  ///< [K] log weight less what normalises the kernel's numerical factors
  std::vector<AxisKernels> axes;
};

/// Values by axis, then by observation or candidate.
using Columns = std::vector<std::vector<double>>;

/// 1 for the newest 25 of n observations, falling evenly to 1/n for the oldest; not normalised.
std::vector<double> age_weights(std::size_t n);

/// `observed`: one column an axis, oldest first, every value on its axis. Without observations the prior alone is left.
Parzen fit_parzen(std::span<const ParzenAxis> axes, Columns observed, Bandwidth bandwidth);

/// Log density of each point; log axes are measured in the logarithm, stepped ones by the mass of the value's cell.
/// Exact to rounding: kernels that cannot show in the sum are left out.
std::vector<double> log_density(const Parzen& parzen, const Columns& points);

/// Independent draws: a kernel by weight, then each axis from it. Stepped values are exactly on their step.
Columns draw(const Parzen& parzen, std::size_t count, Random& random);

}  // namespace finetune
