#include "tuners/samplers/cmaes/margin.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace finetune::cmaes {
namespace {

double upper_tail(double x) {
  return 0.5 * std::erfc(x / std::numbers::sqrt2);
}

// In the first or last cell: the mean comes no farther from the border than leaves `margin` beyond it.
Marginal at_the_edge(const Marginal& now, double border, double deviation, double margin) {
  const double side = now.mean > border ? 1 : -1;
  const double farthest = now.scale * deviation * upper_quantile(margin);
  return {border + side * std::min(std::abs(now.mean - border), farthest), now.scale};
}

// Equations 18 to 21: both sides get at least margin / 2, and the cell's own share pays for it.
Marginal inside(const Marginal& now, double below, double above, double deviation, double margin) {
  const double spread = now.scale * deviation;
  const double low = upper_tail((now.mean - below) / spread), high = upper_tail((above - now.mean) / spread);
  if (std::min(low, high) >= margin / 2) return now;
  const double middle = 1 - (low + high);
  const double low_kept = std::max(low, margin / 2), high_kept = std::max(high, margin / 2);
  const double excess = 1 - low_kept - high_kept - middle;
  const double spare = low_kept + high_kept + middle - 1.5 * margin;
  const auto distance = [&](double kept) {
    return upper_quantile(std::clamp(kept + excess * (kept - margin / 2) / spare, 1e-10, 0.5 - 1e-10));
  };
  const double to_low = distance(low_kept), to_high = distance(high_kept);
  return {(below * to_high + above * to_low) / (to_low + to_high), (above - below) / ((to_low + to_high) * deviation)};
}

}  // namespace

double upper_quantile(double p) {
  // Newton's method on the logarithm of the tail, which is concave: from a point to the right of the root it descends
  // to it. The bound exp(-x^2/2)/2 on the tail gives such a point.
  double x = std::sqrt(-2 * std::log(p));
  for (int i = 0; i < 60; ++i) {
    const double tail = upper_tail(x);
    const double density = std::exp(-x * x / 2) / std::sqrt(2 * std::numbers::pi);
    const double next = x + (std::log(tail) - std::log(p)) * tail / density;
    if (!(next < x)) break;
    x = next;
  }
  return std::max(x, 0.0);
}

Marginal with_margin(const Marginal& now, double below, double above, double deviation, double margin) {
  return below == above ? at_the_edge(now, below, deviation, margin) : inside(now, below, above, deviation, margin);
}

}  // namespace finetune::cmaes
