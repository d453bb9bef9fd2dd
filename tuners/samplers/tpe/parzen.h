// The Parzen estimator of TPE: a mixture with one product kernel per observed configuration and one, the prior, over
// the whole space (Bergstra et al., NIPS 2011, section 4; Watanabe, arXiv 2304.11127, section 3.3). Plain values.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/random.h"
#include "tuners/samplers/tpe/axis_kernels.h"

namespace finetune {

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
