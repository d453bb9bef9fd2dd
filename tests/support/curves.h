// Simulated training runs for measuring tuners: each is a pure function of its parameters, steps and a key for noise.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "core/random.h"
#include "host/compare/lora_curve.h"
#include "host/compare/play_curves.h"
#include "tuners/space/space.h"

namespace finetune::testing {

/// A tuning problem, minimised. Regret = final value less `minimum`.
struct CurveProblem {
  std::string name;
  SearchSpace space;
  std::int64_t steps = 1;
  double minimum = 0;
  std::function<std::unique_ptr<CurveRun>(std::uint64_t seed, std::int64_t trial)> start;
  std::function<double(const Params&)> value;  ///< of a fixed configuration at the last step, without noise
};

namespace curves {

inline double number(const Params& params, const std::string& name) {
  return as_number(*find_param(params, name));
}

template <typename Run>
std::unique_ptr<CurveRun> copy_of(const Run& run) {
  return std::make_unique<Run>(run);
}

inline double last_loss(CurveRun& run, const Params& params, std::int64_t steps) {
  double loss = 0;
  for (std::int64_t t = 0; t < steps; ++t) loss = run.step(params);
  return loss;
}

/// A loss that depends on the present parameters and the step alone, plus AR(1) noise.
class FormulaRun : public CurveRun {
 public:
  using Formula = std::function<double(const Params&, std::int64_t step)>;
  FormulaRun(Formula formula, double sigma, std::uint64_t seed, std::int64_t trial)
      : formula_(std::move(formula)),
        sigma_(sigma),
        random_(seed * 1'000'003 + static_cast<std::uint64_t>(trial), Purpose::test) {}
  double step(const Params& params) override {
    ++t_;
    if (sigma_ > 0) {
      const double fresh = random_.normal();
      noise_ = t_ == 1 ? fresh : kRho * noise_ + std::sqrt(1 - kRho * kRho) * fresh;
    }
    return formula_(params, t_) + sigma_ * noise_;
  }
  std::unique_ptr<CurveRun> clone() const override { return copy_of(*this); }

 private:
  static constexpr double kRho = 0.7;
  Formula formula_;
  double sigma_;
  Random random_;
  std::int64_t t_ = 0;
  double noise_ = 0;
};

/// Hartmann's function in 3 or 6 dimensions; `shift` is taken from every peak's height.
inline double hartmann(const std::vector<double>& x, double shift) {
  static constexpr std::array<double, 4> kHeight{1.0, 1.2, 3.0, 3.2};
  static constexpr double kA3[4][3] = {{3, 10, 30}, {0.1, 10, 35}, {3, 10, 30}, {0.1, 10, 35}};
  static constexpr double kP3[4][3] = {
      {0.3689, 0.117, 0.2673}, {0.4699, 0.4387, 0.747}, {0.1091, 0.8732, 0.5547}, {0.0381, 0.5743, 0.8828}};
  static constexpr double kA6[4][6] = {
      {10, 3, 17, 3.5, 1.7, 8}, {0.05, 10, 17, 0.1, 8, 14}, {3, 3.5, 1.7, 10, 17, 8}, {17, 8, 0.05, 10, 0.1, 14}};
  static constexpr double kP6[4][6] = {{0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886},
                                       {0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991},
                                       {0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650},
                                       {0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381}};
  double sum = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    double exponent = 0;
    for (std::size_t j = 0; j < x.size(); ++j) {
      const double a = x.size() == 3 ? kA3[i][j] : kA6[i][j], p = x.size() == 3 ? kP3[i][j] : kP6[i][j];
      exponent += a * (x[j] - p) * (x[j] - p);
    }
    sum -= (kHeight[i] - shift) * std::exp(-exponent);
  }
  return sum;
}

inline CurveProblem formula_problem(std::string name, SearchSpace space, FormulaRun::Formula formula, double minimum,
                                    std::int64_t steps, double sigma) {
  CurveProblem problem{std::move(name), std::move(space), steps, minimum, {}, {}};
  problem.start = [formula, sigma](std::uint64_t seed, std::int64_t trial) {
    return std::make_unique<FormulaRun>(formula, sigma, seed, trial);
  };
  problem.value = [formula, steps](const Params& params) { return formula(params, steps); };
  return problem;
}

/// Multi-fidelity Hartmann without its noise (mf-prior-bench): peak heights are off by bias (1 - ln t / ln 100).
/// Bias 2.5 "good", 3 "moderate", 3.5 "bad", 4 "terrible": from 2.5 on the early ranking is partly upside down.
inline CurveProblem mfh(std::size_t dimensions, const std::string& quality) {
  const double bias = quality == "good" ? 2.5 : quality == "moderate" ? 3.0 : quality == "bad" ? 3.5 : 4.0;
  SearchSpace space;
  for (std::size_t i = 0; i < dimensions; ++i)
    space.parameters.push_back({.name = "x" + std::to_string(i), .low = 0, .high = 1});
  const auto formula = [bias](const Params& params, std::int64_t t) {
    std::vector<double> x;
    for (const auto& [name, value] : params) x.push_back(as_number(value));
    return hartmann(x, bias * (1 - std::log(static_cast<double>(t)) / std::log(100.0)));
  };
  const double minimum = dimensions == 3 ? -3.86278214782076 : -3.32236801141551;
  return formula_problem("mfh" + std::to_string(dimensions) + "-" + quality, space, formula, minimum, 100, 0);
}

/// y(t) = c + (2.5 - c) t^-a: a higher rate learns faster (a) and ends at a worse floor (c), so curves cross; above
/// 0.06 the run diverges.
inline CurveProblem curve_power() {
  const SearchSpace space{{{.name = "lr", .low = 1e-4, .high = 1e-1, .log = true},
                           {.name = "depth", .low = 1, .high = 8, .integer = true},
                           {.name = "decay", .low = 0, .high = 0.2}}};
  const auto formula = [](const Params& params, std::int64_t t) {
    const double lr = number(params, "lr"), depth = number(params, "depth"), decay = number(params, "decay");
    if (lr > 0.06 && t > 4) return std::numeric_limits<double>::quiet_NaN();
    const double log_lr = std::log10(lr);
    const double floor = 0.3 + 0.12 * (log_lr + 2.7) * (log_lr + 2.7) + 0.015 * (depth - 5) * (depth - 5) +
                         6 * (decay - 0.05) * (decay - 0.05);
    const double speed = 0.2 + (log_lr + 4) / 3;
    return floor + (2.5 - floor) * std::pow(static_cast<double>(t), -speed);
  };
  return formula_problem("curve-power", space, formula, 0.393893, 81, 0.01);
}

/// The program's simulated LoRA sweep, under short names.
class LoraRun : public CurveRun {
 public:
  LoraRun(std::uint64_t seed, std::int64_t trial, bool noisy) : curve_(seed, trial, 100, noisy) {}
  double step(const Params& params) override {
    return curve_.step({.learning_rate = number(params, "learning_rate"),
                        .rank = number(params, "rank"),
                        .batch_size = number(params, "batch_size"),
                        .warmup_ratio = number(params, "warmup_ratio"),
                        .dropout = number(params, "dropout"),
                        .weight_decay = number(params, "weight_decay")});
  }
  std::unique_ptr<CurveRun> clone() const override { return copy_of(*this); }

 private:
  LoraCurve curve_;
};

inline CurveProblem lora() {
  const auto whole = [](std::int64_t x) { return Value(x); };
  const SearchSpace space{{{.name = "learning_rate", .low = 2e-5, .high = 5e-3, .log = true},
                           {.name = "rank", .choices = {whole(4), whole(8), whole(16), whole(32), whole(64)}},
                           {.name = "batch_size", .choices = {whole(8), whole(16), whole(32), whole(64)}},
                           {.name = "warmup_ratio", .low = 0, .high = 0.1, .step = 0.01},
                           {.name = "dropout", .low = 0, .high = 0.2},
                           {.name = "weight_decay", .low = 1e-4, .high = 0.3, .log = true}}};
  CurveProblem problem{"lora", space, 100, 1.772458, {}, {}};
  problem.start = [](std::uint64_t seed, std::int64_t trial) { return std::make_unique<LoraRun>(seed, trial, true); };
  problem.value = [](const Params& params) {
    LoraRun run(0, 0, false);
    return last_loss(run, params, 100);
  };
  return problem;
}

/// Figure 2 of the PBT paper: each setting trains one of two weights. Loss 1.2 - Q; a fixed one ends at 0.81.
class ToyRun : public CurveRun {
 public:
  double step(const Params& params) override {
    const bool first = std::get<std::string>(*find_param(params, "h")) == "first";
    theta_[first ? 0 : 1] *= 1 - 2 * 0.02;
    return theta_[0] * theta_[0] + theta_[1] * theta_[1];
  }
  std::unique_ptr<CurveRun> clone() const override { return copy_of(*this); }

 private:
  std::array<double, 2> theta_{0.9, 0.9};
};

/// Expected loss of SGD on a noisy quadratic with curvatures 1 and 12: the best rate falls with time. The best fixed
/// rate ends at 0.0156.
class DriftRun : public CurveRun {
 public:
  double step(const Params& params) override {
    const double lr = number(params, "lr");
    for (std::size_t i = 0; i < 2; ++i) {
      const double shrink = 1 - lr * kCurvature[i];
      moment_[i] = shrink * shrink * moment_[i] + lr * lr * 1.5;
    }
    const double loss = 0.5 * (moment_[0] + 12 * moment_[1]);
    return loss < 1e6 ? loss : std::numeric_limits<double>::quiet_NaN();
  }
  std::unique_ptr<CurveRun> clone() const override { return copy_of(*this); }

 private:
  static constexpr std::array<double, 2> kCurvature{1, 12};
  std::array<double, 2> moment_{4, 4};
};

template <typename Run>
CurveProblem population_problem(std::string name, ParameterSpec parameter) {
  CurveProblem problem{std::move(name), {{std::move(parameter)}}, 200, 0, {}, {}};
  problem.start = [](std::uint64_t, std::int64_t) { return std::make_unique<Run>(); };
  problem.value = [](const Params& params) {
    Run run;
    return last_loss(run, params, 200);
  };
  return problem;
}

inline CurveProblem pbt_toy() {
  return population_problem<ToyRun>("pbt-toy", {.name = "h", .choices = {std::string("first"), std::string("second")}});
}
inline CurveProblem drift() {
  return population_problem<DriftRun>("drift", {.name = "lr", .low = 1e-4, .high = 0.3, .log = true});
}

}  // namespace curves
}  // namespace finetune::testing
