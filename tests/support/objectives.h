// Black boxes with known minima, to measure samplers on. Values are free of noise; lower is better.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <numbers>
#include <string>
#include <vector>

#include "tuners/space/space.h"

namespace finetune::testing {

struct Objective {
  std::string name;
  SearchSpace space;
  std::function<double(const Params&)> value;
  double minimum;
};

inline double number_in(const Params& params, const std::string& name) {
  return as_number(*find_param(params, name));
}

/// x0, x1, ... over the same range.
inline SearchSpace box(int dimensions, double low, double high) {
  SearchSpace space;
  for (int i = 0; i < dimensions; ++i)
    space.parameters.push_back({.name = "x" + std::to_string(i), .low = low, .high = high});
  return space;
}

inline std::vector<double> point_in(const Params& params) {
  std::vector<double> x;
  for (const auto& [name, value] : params) x.push_back(as_number(value));
  return x;
}

inline double square(double x) {
  return x * x;
}

/// Branin (1972): three equal minima.
inline double branin(const Params& params) {
  constexpr double pi = std::numbers::pi;
  const auto x = point_in(params);
  const double valley = x[1] - 5.1 / (4 * pi * pi) * x[0] * x[0] + 5 / pi * x[0] - 6;
  return valley * valley + 10 * (1 - 1 / (8 * pi)) * std::cos(x[0]) + 10;
}

/// Hartmann (1973) in 3 or 6 dimensions, constants as in Dixon and Szegoe, Towards Global Optimisation 2 (1978).
inline double hartmann(const Params& params) {
  static const std::vector<std::vector<double>> a3{{3, 10, 30}, {0.1, 10, 35}, {3, 10, 30}, {0.1, 10, 35}};
  static const std::vector<std::vector<double>> p3{
      {0.3689, 0.117, 0.2673}, {0.4699, 0.4387, 0.747}, {0.1091, 0.8732, 0.5547}, {0.0381, 0.5743, 0.8828}};
  static const std::vector<std::vector<double>> a6{
      {10, 3, 17, 3.5, 1.7, 8}, {0.05, 10, 17, 0.1, 8, 14}, {3, 3.5, 1.7, 10, 17, 8}, {17, 8, 0.05, 10, 0.1, 14}};
  static const std::vector<std::vector<double>> p6{{0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886},
                                                   {0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991},
                                                   {0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650},
                                                   {0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381}};
  static const double height[] = {1.0, 1.2, 3.0, 3.2};
  const auto x = point_in(params);
  const auto &a = x.size() == 3 ? a3 : a6, &p = x.size() == 3 ? p3 : p6;
  double sum = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    double distance = 0;
    for (std::size_t j = 0; j < x.size(); ++j) distance += a[i][j] * square(x[j] - p[i][j]);
    sum -= height[i] * std::exp(-distance);
  }
  return sum;
}

/// Ackley, A Connectionist Machine for Genetic Hillclimbing (1987).
inline double ackley(const Params& params) {
  const auto x = point_in(params);
  double squares = 0, cosines = 0;
  for (const double v : x) squares += v * v, cosines += std::cos(2 * std::numbers::pi * v);
  const auto n = static_cast<double>(x.size());
  return -20 * std::exp(-0.2 * std::sqrt(squares / n)) - std::exp(cosines / n) + 20 + std::numbers::e;
}

/// Rosenbrock (1960).
inline double rosenbrock(const Params& params) {
  const auto x = point_in(params);
  double sum = 0;
  for (std::size_t i = 0; i + 1 < x.size(); ++i) sum += 100 * square(x[i + 1] - x[i] * x[i]) + square(1 - x[i]);
  return sum;
}

/// Levy and Montalvo (1985), problem 8.
inline double levy(const Params& params) {
  constexpr double pi = std::numbers::pi;
  auto w = point_in(params);
  for (double& v : w) v = 1 + (v - 1) / 4;
  double sum = square(std::sin(pi * w.front())) + square(w.back() - 1) * (1 + square(std::sin(2 * pi * w.back())));
  for (std::size_t i = 0; i + 1 < w.size(); ++i) sum += square(w[i] - 1) * (1 + 10 * square(std::sin(pi * w[i] + 1)));
  return sum;
}

/// Every kind of dimension, interacting; minimum at lr 1e-3, 5 layers, width 64, momentum 0.6, adam. Our own.
inline Objective mixed_objective() {
  const std::vector<Value> optimizers{std::string("sgd"), std::string("adam"), std::string("lion"),
                                      std::string("adagrad")};
  SearchSpace space{{{.name = "lr", .low = 1e-5, .high = 1e-1, .log = true},
                     {.name = "layers", .low = 1, .high = 12, .integer = true},
                     {.name = "width", .low = 8, .high = 512, .log = true, .integer = true},
                     {.name = "momentum", .low = 0, .high = 0.95, .step = 0.05},
                     {.name = "optimizer", .choices = optimizers}}};
  const auto value = [optimizers](const Params& params) {
    static const double centre[] = {-1.5, -3.0, -4.0, -2.0}, penalty[] = {0.3, 0.0, 0.1, 0.5};
    const auto which =
        std::find(optimizers.begin(), optimizers.end(), *find_param(params, "optimizer")) - optimizers.begin();
    const double width = number_in(params, "width");
    const double lr = std::log10(number_in(params, "lr")) - centre[which] - 0.5 * std::log(width / 64) / std::log(8.0);
    return 0.5 * lr * lr + 0.02 * square(number_in(params, "layers") - 5) + 0.1 * square(std::log2(width) - 6) +
           square(number_in(params, "momentum") - 0.6) + penalty[which];
  };
  return {"mixed", space, value, 0};
}

/// A conditional tree: each leaf has a parameter of its own, each side a shared one (Jenatton et al., ICML 2017).
inline Objective jenatton_objective() {
  const std::vector<Value> bits{std::int64_t{0}, std::int64_t{1}};
  const auto when = [&](const char* name, std::size_t bit) {
    return std::vector<std::pair<std::string, std::vector<Value>>>{{name, {bits[bit]}}};
  };
  SearchSpace space{{{.name = "x1", .choices = bits},
                     {.name = "x2", .choices = bits, .when = when("x1", 0)},
                     {.name = "x3", .choices = bits, .when = when("x1", 1)},
                     {.name = "x4", .low = -1, .high = 1, .when = when("x2", 0)},
                     {.name = "x5", .low = -1, .high = 1, .when = when("x2", 1)},
                     {.name = "x6", .low = -1, .high = 1, .when = when("x3", 0)},
                     {.name = "x7", .low = -1, .high = 1, .when = when("x3", 1)},
                     {.name = "r8", .low = 0, .high = 1, .when = when("x1", 0)},
                     {.name = "r9", .low = 0, .high = 1, .when = when("x1", 1)}}};
  const auto value = [](const Params& params) {
    const bool left = number_in(params, "x1") == 0;
    const bool first = number_in(params, left ? "x2" : "x3") == 0;
    const char* leaf = left ? (first ? "x4" : "x5") : (first ? "x6" : "x7");
    const double offset = left ? (first ? 0.1 : 0.2) : (first ? 0.3 : 0.4);
    return square(number_in(params, leaf)) + offset + number_in(params, left ? "r8" : "r9");
  };
  return {"jenatton", space, value, 0.1};
}

inline std::vector<Objective> black_boxes() {
  SearchSpace plane{{{.name = "x0", .low = -5, .high = 10}, {.name = "x1", .low = 0, .high = 15}}};
  return {{"branin", plane, branin, 0.397887357729738},
          {"hartmann3", box(3, 0, 1), hartmann, -3.86278214782076},
          {"hartmann6", box(6, 0, 1), hartmann, -3.32236801141551},
          {"ackley5", box(5, -32.768, 32.768), ackley, 0},
          {"rosenbrock4", box(4, -5, 10), rosenbrock, 0},
          {"levy4", box(4, -10, 10), levy, 0},
          mixed_objective(),
          jenatton_objective()};
}

}  // namespace finetune::testing
