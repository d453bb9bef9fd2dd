#include "tuners/samplers/tpe/axis_kernels.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace finetune {
namespace {

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

}  // namespace

Cell cell_of(const ParzenAxis& axis, double x) {
  return {cell_low(axis, x), cell_high(axis, x)};
}

AxisKernels kernels_along(const ParzenAxis& axis, std::vector<double> observed, Bandwidth bandwidth,
                          std::size_t dimensions) {
  return axis.choices > 0 ? categorical_kernels(axis, std::move(observed))
                          : numerical_kernels(axis, std::move(observed), bandwidth, dimensions);
}

Shares shares(const AxisKernels& kernels) {
  const auto choices = static_cast<double>(kernels.axis.choices);
  const double spread = kPriorWeight / static_cast<double>(kernels.centre.size()), sum = 1 + choices * spread;
  return {(1 + spread) / sum, spread / sum, 1 / choices};
}

}  // namespace finetune
