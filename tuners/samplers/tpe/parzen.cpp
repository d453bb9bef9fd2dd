#include "tuners/samplers/tpe/parzen.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tuners/samplers/tpe/truncated_normal.h"

namespace finetune {
namespace {

double log_mass_of_range(const AxisKernels& kernels, std::size_t k) {
  const double from = (kernels.from - kernels.centre[k]) * kernels.inverse_sigma[k];
  const double to = (kernels.to - kernels.centre[k]) * kernels.inverse_sigma[k];
  if (from < -9 && to > 9) return 0;  // less than 1e-18 is cut off
  return log_normal_mass(from, to);
}

void normalise(const AxisKernels& kernels, std::vector<double>& log_constant) {
  if (kernels.axis.choices > 0) return;
  const bool stepped = kernels.axis.step > 0;
  std::vector<double> log_mass(kernels.example.size());
  for (std::size_t i = 0; i < log_mass.size(); ++i) {
    log_mass[i] = log_mass_of_range(kernels, static_cast<std::size_t>(kernels.example[i]));
  }
  double sigma = 0, log_scale = 0;  // many kernels are equally wide
  for (std::size_t k = 0; k < log_constant.size(); ++k) {
    if (!stepped && kernels.sigma[k] != sigma) sigma = kernels.sigma[k], log_scale = std::log(sigma) + kLogSqrtTwoPi;
    const double mass = stepped ? log_mass[static_cast<std::size_t>(kernels.kind[k])] : log_mass_of_range(kernels, k);
    log_constant[k] -= mass + log_scale;
  }
}

void add_categorical(const AxisKernels& kernels, double x, std::vector<double>& sum) {
  const Shares share = shares(kernels);
  const double own = std::log(share.own), other = std::log(share.other);
  for (std::size_t k = 0; k + 1 < sum.size(); ++k) sum[k] += kernels.centre[k] == x ? own : other;
  sum.back() += std::log(share.prior);
}

// -z^2 / 2, a normal kernel's factor: what normalises it is in log_constant.
void add_continuous(const AxisKernels& kernels, double x, std::vector<double>& sum) {
  const double *centre = kernels.centre.data(), *inverse_sigma = kernels.inverse_sigma.data();
  double* total = sum.data();
  for (std::size_t k = 0, n = sum.size(); k < n; ++k) {
    const double z = (x - centre[k]) * inverse_sigma[k];
    total[k] -= 0.5 * z * z;
  }
}

// At least the logarithm of a cell's mass, without erfc: -z^2 / 2 from its nearer end, for P(Z > z) <= exp(-z^2 / 2)
// and a cell around the centre holds less than 1.
void add_most_of_stepped(const AxisKernels& kernels, const Cell& cell, std::vector<double>& sum) {
  const double *centre = kernels.centre.data(), *inverse_sigma = kernels.inverse_sigma.data();
  const double middle = 0.5 * (cell.low + cell.high), half = 0.5 * (cell.high - cell.low);
  double* total = sum.data();
  for (std::size_t k = 0, n = sum.size(); k < n; ++k) {
    const double outside = std::abs(middle - centre[k]) - half;
    const double z = (outside > 0 ? outside : 0) * inverse_sigma[k];
    total[k] -= 0.5 * z * z;
  }
}

constexpr double kLost = -45;  // exp of it is below the rounding of a sum that holds 1

// The stepped axes at one point: turns what add_most_of_stepped gave into the masses of the cells.
class SteppedAxes {
 public:
  SteppedAxes(const Parzen& parzen, const Columns& points, std::size_t p) {
    for (std::size_t i = 0; i < parzen.axes.size(); ++i) {
      const AxisKernels& kernels = parzen.axes[i];
      if (kernels.axis.step > 0) axes_.push_back({&kernels, cell_of(kernels.axis, points[i][p])});
    }
  }

  // Cells cost two erfc each: once for a kind, and not for kernels that are lost beside the most promising one.
  void make_exact(std::vector<double>& sum) {
    if (axes_.empty()) return;
    for (Axis& axis : axes_) axis.correction.assign(axis.kernels->example.size(), kUnknown);
    const auto promising = static_cast<std::size_t>(std::max_element(sum.begin(), sum.end()) - sum.begin());
    const double floor = sum[promising] + correction(promising) + kLost;
    for (std::size_t k = 0; k < sum.size(); ++k) {
      if (sum[k] >= floor) sum[k] += correction(k);
    }
  }

 private:
  static constexpr double kUnknown = 1;  // a correction is below 0
  struct Axis {
    const AxisKernels* kernels;
    Cell cell;
    std::vector<double> correction;  // [kinds]
  };

  double correction(std::size_t k) {
    double sum = 0;
    for (Axis& axis : axes_) {
      double& known = axis.correction[static_cast<std::size_t>(axis.kernels->kind[k])];
      if (known == kUnknown) known = correction(axis, k);
      sum += known;
    }
    return sum;
  }
  static double correction(const Axis& axis, std::size_t k) {
    const double below = (axis.cell.low - axis.kernels->centre[k]) * axis.kernels->inverse_sigma[k];
    const double above = (axis.cell.high - axis.kernels->centre[k]) * axis.kernels->inverse_sigma[k];
    const double z = std::max({below, -above, 0.0});
    return log_normal_mass(below, above) + 0.5 * z * z;
  }

  std::vector<Axis> axes_;
};

void add_factors(const Parzen& parzen, const Columns& points, std::size_t p, std::vector<double>& sum) {
  for (std::size_t i = 0; i < parzen.axes.size(); ++i) {
    const AxisKernels& kernels = parzen.axes[i];
    const double x = points[i][p];
    if (kernels.axis.choices > 0)
      add_categorical(kernels, x, sum);
    else if (kernels.axis.step > 0)
      add_most_of_stepped(kernels, cell_of(kernels.axis, x), sum);
    else
      add_continuous(kernels, kernels.axis.log ? std::log(x) : x, sum);
  }
  SteppedAxes(parzen, points, p).make_exact(sum);
}

double log_sum_exp(const std::vector<double>& terms) {
  const double high = *std::max_element(terms.begin(), terms.end());
  double sum = 0;
  for (const double term : terms) {
    if (term - high > kLost) sum += std::exp(term - high);
  }
  return high + std::log(sum);
}

std::size_t pick(const std::vector<double>& weight, double u) {
  std::size_t k = 0;
  for (; k + 1 < weight.size() && u >= weight[k]; ++k) u -= weight[k];
  return k;
}

double draw_choice(const AxisKernels& kernels, std::size_t k, double u) {
  const Shares share = shares(kernels);
  const bool prior = kernels.centre[k] < 0;
  std::vector<double> weight(static_cast<std::size_t>(kernels.axis.choices), prior ? share.prior : share.other);
  if (!prior) weight[static_cast<std::size_t>(kernels.centre[k])] = share.own;
  return static_cast<double>(pick(weight, u));
}

double draw_number(const AxisKernels& kernels, std::size_t k, double u) {
  const ParzenAxis& axis = kernels.axis;
  const double centre = kernels.centre[k], sigma = kernels.sigma[k];
  double x =
      centre + sigma * truncated_normal_quantile(u, (kernels.from - centre) / sigma, (kernels.to - centre) / sigma);
  if (axis.log) x = std::exp(x);
  if (axis.step > 0) x = axis.low + std::round((x - axis.low) / axis.step) * axis.step;
  return std::clamp(x, axis.low, axis.high);
}

}  // namespace

std::vector<double> age_weights(std::size_t n) {
  constexpr std::size_t kNewest = 25;
  std::vector<double> weights(n, 1.0);
  if (n <= kNewest) return weights;
  const double oldest = 1 / static_cast<double>(n);
  const std::size_t ramp = n - kNewest;
  for (std::size_t i = 0; i < ramp; ++i) {
    const double share = ramp == 1 ? 0 : static_cast<double>(i) / static_cast<double>(ramp - 1);
    weights[i] = oldest + (1 - oldest) * share;
  }
  return weights;
}

Parzen fit_parzen(std::span<const ParzenAxis> axes, Columns observed, Bandwidth bandwidth) {
  Parzen parzen{.weight = age_weights(observed.empty() ? 0 : observed[0].size())};
  parzen.weight.push_back(kPriorWeight);
  parzen.log_constant.reserve(parzen.weight.size());
  parzen.axes.reserve(axes.size());
  const double total = std::accumulate(parzen.weight.begin(), parzen.weight.end(), 0.0);
  for (double& weight : parzen.weight) {
    weight /= total;
    parzen.log_constant.push_back(std::log(weight));
  }
  for (std::size_t i = 0; i < axes.size(); ++i) {
    parzen.axes.push_back(kernels_along(axes[i], std::move(observed[i]), bandwidth, axes.size()));
    normalise(parzen.axes.back(), parzen.log_constant);
  }
  return parzen;
}

std::vector<double> log_density(const Parzen& parzen, const Columns& points) {
  std::vector<double> result(points.empty() ? 0 : points[0].size()), sum;
  for (std::size_t p = 0; p < result.size(); ++p) {
    sum = parzen.log_constant;
    add_factors(parzen, points, p, sum);
    result[p] = log_sum_exp(sum);
  }
  return result;
}

Columns draw(const Parzen& parzen, std::size_t count, Random& random) {
  Columns points(parzen.axes.size());
  for (std::size_t p = 0; p < count; ++p) {
    const std::size_t k = pick(parzen.weight, random.uniform());
    for (std::size_t i = 0; i < parzen.axes.size(); ++i) {
      const AxisKernels& kernels = parzen.axes[i];
      const double u = random.uniform();
      points[i].push_back(kernels.axis.choices > 0 ? draw_choice(kernels, k, u) : draw_number(kernels, k, u));
    }
  }
  return points;
}

}  // namespace finetune
