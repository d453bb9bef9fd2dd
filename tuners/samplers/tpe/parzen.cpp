#include "tuners/samplers/tpe/parzen.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "tuners/samplers/tpe/truncated_normal.h"

namespace finetune {
namespace {

constexpr double kPriorWeight = 1;
const double kLogRoot = std::log(2 * std::numbers::pi) / 2;

// Where a value's cell ends. The lowest value of a log axis with a wide step keeps half of itself below.
double cell_low(const ParzenAxis& axis, double x) {
  return axis.log ? std::log(std::max(x - axis.step / 2, axis.low / 2)) : x - axis.step / 2;
}
double cell_high(const ParzenAxis& axis, double x) {
  return axis.log ? std::log(x + axis.step / 2) : x + axis.step / 2;
}

// An observation and its place in the order of age.
struct Placed {
  double value;
  std::int32_t at;
};

// Insertion: in time proportional to the number when few are far from where they belong. Equal ones keep their order.
void sort_nearly_sorted(std::vector<Placed>& items) {
  for (std::size_t k = 1; k < items.size(); ++k) {
    const Placed item = items[k];
    std::size_t to = k;
    for (; to > 0 && item.value < items[to - 1].value; --to) items[to] = items[to - 1];
    items[to] = item;
  }
}

// By value, equal ones by age. The values lie between two known ends, so buckets as wide as the mean distance hold one
// or two each, and the sort takes time in proportion to the number.
std::vector<Placed> ascending(const std::vector<double>& values, double from, double to) {
  constexpr std::uint32_t kFew = 12;
  const std::size_t n = values.size();
  const double scale = static_cast<double>(n) / (to - from), last = static_cast<double>(n) - 1;
  std::vector<std::uint32_t> bucket(n), start(n + 1);  // start: first the ends, until the buckets are filled from there
  for (std::size_t i = 0; i < n; ++i) {
    bucket[i] = static_cast<std::uint32_t>(std::clamp((values[i] - from) * scale, 0.0, last));
    ++start[bucket[i]];
  }
  std::partial_sum(start.begin(), start.end(), start.begin());
  std::vector<Placed> placed(n);
  for (std::size_t i = n; i-- > 0;) placed[--start[bucket[i]]] = {values[i], static_cast<std::int32_t>(i)};
  const auto before = [](const Placed& a, const Placed& b) {
    return a.value != b.value ? a.value < b.value : a.at < b.at;
  };
  for (std::size_t k = 0; k < n; ++k) {
    if (start[k + 1] - start[k] > kFew) std::sort(placed.begin() + start[k], placed.begin() + start[k + 1], before);
  }
  sort_nearly_sorted(placed);
  return placed;
}

// `placed`: the observations ascending. With two or more the outer ones do not reach for the ends of the range.
void reach_for_neighbours(AxisKernels& kernels, const std::vector<Placed>& placed) {
  const std::size_t n = placed.size();
  kernels.sigma.resize(n);
  for (std::size_t k = 0; k < n; ++k) {
    const double x = placed[k].value;
    const double below = k > 0 ? x - placed[k - 1].value : n > 1 ? 0 : x - kernels.from;
    const double above = k + 1 < n ? placed[k + 1].value - x : n > 1 ? 0 : kernels.to - x;
    kernels.sigma[static_cast<std::size_t>(placed[k].at)] = std::max(below, above);
  }
}

// Stepped axes repeat few kernels often: equal ones are next to each other in ascending order.
void name_kinds(AxisKernels& kernels, const std::vector<Placed>& placed) {
  kernels.kind.resize(placed.size() + 1);
  const auto name = [&](std::size_t k) {
    const auto same = [&](std::size_t other) {
      return kernels.centre[k] == kernels.centre[other] && kernels.sigma[k] == kernels.sigma[other];
    };
    const bool known = !kernels.example.empty() && same(static_cast<std::size_t>(kernels.example.back()));
    if (!known) kernels.example.push_back(static_cast<std::int32_t>(k));
    kernels.kind[k] = static_cast<std::int32_t>(kernels.example.size()) - 1;
  };
  for (const Placed& one : placed) name(static_cast<std::size_t>(one.at));
  name(placed.size());  // the prior
}

AxisKernels numerical_kernels(const ParzenAxis& axis, std::vector<double> observed, Bandwidth bandwidth,
                              std::size_t dimensions) {
  const std::size_t n = observed.size();
  AxisKernels kernels{
      .axis = axis, .from = cell_low(axis, axis.low), .to = cell_high(axis, axis.high), .centre = std::move(observed)};
  if (axis.log) std::for_each(kernels.centre.begin(), kernels.centre.end(), [](double& x) { x = std::log(x); });
  const double width = kernels.to - kernels.from, narrowest = width / std::min(100.0, 2.0 + static_cast<double>(n));
  const bool by_order = bandwidth == Bandwidth::neighbours || axis.step > 0;
  const std::vector<Placed> placed =
      by_order ? ascending(kernels.centre, kernels.from, kernels.to) : std::vector<Placed>{};
  kernels.sigma.reserve(n + 1);
  if (bandwidth == Bandwidth::neighbours) {
    reach_for_neighbours(kernels, placed);
  } else {
    kernels.sigma.assign(
        n, 0.2 * std::pow(std::max<double>(static_cast<double>(n), 1), -1.0 / (static_cast<double>(dimensions) + 4)) *
               width);
  }
  for (double& sigma : kernels.sigma) sigma = std::clamp(sigma, narrowest, width);
  kernels.centre.push_back(0.5 * (kernels.from + kernels.to));
  kernels.sigma.push_back(width);
  kernels.inverse_sigma.resize(n + 1);
  std::transform(kernels.sigma.begin(), kernels.sigma.end(), kernels.inverse_sigma.begin(),
                 [](double x) { return 1 / x; });
  if (axis.step > 0) name_kinds(kernels, placed);
  return kernels;
}

AxisKernels categorical_kernels(const ParzenAxis& axis, std::vector<double> observed) {
  AxisKernels kernels{.axis = axis, .centre = std::move(observed)};
  kernels.centre.push_back(-1);
  return kernels;
}

// What the kernel gives to the choice it stands on, and to each other.
struct Shares {
  double own, other, prior;
};

Shares shares(const AxisKernels& kernels) {
  const auto choices = static_cast<double>(kernels.axis.choices);
  const double spread = kPriorWeight / static_cast<double>(kernels.centre.size()), sum = 1 + choices * spread;
  return {(1 + spread) / sum, spread / sum, 1 / choices};
}

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
    if (!stepped && kernels.sigma[k] != sigma) sigma = kernels.sigma[k], log_scale = std::log(sigma) + kLogRoot;
    const double mass = stepped ? log_mass[static_cast<std::size_t>(kernels.kind[k])] : log_mass_of_range(kernels, k);
    log_constant[k] -= mass + log_scale;
  }
}

// What each kernel's factors add to its log density at x. None is above 0: what normalises them is in log_constant.

void add_categorical(const AxisKernels& kernels, double x, std::vector<double>& sum) {
  const Shares share = shares(kernels);
  const double own = std::log(share.own), other = std::log(share.other);
  for (std::size_t k = 0; k + 1 < sum.size(); ++k) sum[k] += kernels.centre[k] == x ? own : other;
  sum.back() += std::log(share.prior);
}

void add_continuous(const AxisKernels& kernels, double x, std::vector<double>& sum) {
  if (kernels.axis.log) x = std::log(x);
  for (std::size_t k = 0; k < sum.size(); ++k) {
    const double z = (x - kernels.centre[k]) * kernels.inverse_sigma[k];
    sum[k] -= 0.5 * z * z;
  }
}

constexpr double kLost = -45;  // exp of it is below the rounding of a sum that holds 1

// What a value on a stepped axis stands for.
struct Cell {
  double low, high;
};

Cell cell_of(const ParzenAxis& axis, double x) {
  return {cell_low(axis, x), cell_high(axis, x)};
}

double log_mass_of_cell(const AxisKernels& kernels, const Cell& cell, std::size_t k) {
  return log_normal_mass((cell.low - kernels.centre[k]) * kernels.inverse_sigma[k],
                         (cell.high - kernels.centre[k]) * kernels.inverse_sigma[k]);
}

// At least the mass's logarithm, without erfc: P(Z > z) <= exp(-z^2 / 2), and a cell beside the centre holds less.
double most_log_mass_of_cell(const AxisKernels& kernels, const Cell& cell, std::size_t k) {
  const double centre = kernels.centre[k];
  const double z = std::max({cell.low - centre, centre - cell.high, 0.0}) * kernels.inverse_sigma[k];
  return -0.5 * z * z;
}

// Cells cost two erfc each: once for a kind, and not for kernels that end below `floor`, where they are lost.
void add_stepped(const AxisKernels& kernels, double x, double floor, std::vector<double>& sum) {
  constexpr double kUnknown = 1;
  const Cell cell = cell_of(kernels.axis, x);
  std::vector<double> log_mass(kernels.example.size(), kUnknown);
  for (std::size_t k = 0; k < sum.size(); ++k) {
    const double most = most_log_mass_of_cell(kernels, cell, k);
    if (sum[k] + most < floor) {
      sum[k] += most;
      continue;
    }
    double& mass = log_mass[static_cast<std::size_t>(kernels.kind[k])];
    if (mass == kUnknown) mass = log_mass_of_cell(kernels, cell, k);
    sum[k] += mass;
  }
}

// Kernel k's sum with the stepped axes. The density is at least that.
double whole_term(const Parzen& parzen, const Columns& points, std::size_t p, std::size_t k, double sum) {
  for (std::size_t i = 0; i < parzen.axes.size(); ++i) {
    const AxisKernels& kernels = parzen.axes[i];
    if (kernels.axis.step > 0) sum += log_mass_of_cell(kernels, cell_of(kernels.axis, points[i][p]), k);
  }
  return sum;
}

// Stepped axes come last: most kernels are lost by then.
void add_factors(const Parzen& parzen, const Columns& points, std::size_t p, std::vector<double>& sum) {
  bool any_stepped = false;
  for (std::size_t i = 0; i < parzen.axes.size(); ++i) {
    const AxisKernels& kernels = parzen.axes[i];
    if (kernels.axis.choices > 0)
      add_categorical(kernels, points[i][p], sum);
    else if (kernels.axis.step == 0)
      add_continuous(kernels, points[i][p], sum);
    else
      any_stepped = true;
  }
  if (!any_stepped) return;
  const std::size_t prior = sum.size() - 1;
  const auto promising = static_cast<std::size_t>(std::max_element(sum.begin(), sum.end()) - sum.begin());
  const double floor = std::max(whole_term(parzen, points, p, prior, sum[prior]),
                                whole_term(parzen, points, p, promising, sum[promising])) +
                       kLost;
  for (std::size_t i = 0; i < parzen.axes.size(); ++i) {
    if (parzen.axes[i].axis.step > 0) add_stepped(parzen.axes[i], points[i][p], floor, sum);
  }
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
    parzen.axes.push_back(axes[i].choices > 0
                              ? categorical_kernels(axes[i], std::move(observed[i]))
                              : numerical_kernels(axes[i], std::move(observed[i]), bandwidth, axes.size()));
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
