#include "tuners/samplers/cmaes/run.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "tuners/samplers/cmaes/margin.h"

namespace finetune::cmaes {
namespace {

bool is_inside(const Coordinates& coordinates, const Eigen::VectorXd& x_N) {
  for (Eigen::Index i = 0; i < x_N.size(); ++i) {
    if (!coordinates.discrete(i) && !(x_N[i] >= 0 && x_N[i] <= 1)) return false;
  }
  return true;
}

Eigen::VectorXd clipped(const Coordinates& coordinates, Eigen::VectorXd x_N) {
  for (Eigen::Index i = 0; i < x_N.size(); ++i) {
    if (!coordinates.discrete(i)) x_N[i] = std::min(std::max(x_N[i], 0.0), 1.0);
  }
  return x_N;
}

}  // namespace

Run::Run(Distribution first, Eigen::Index population)
    : population_(population),
      constants_(constants(first.mean_N.size(), population)),
      distribution_(std::move(first)),
      axes_(axes_of(distribution_.covariance_NN)),
      scale_N_(Eigen::VectorXd::Ones(distribution_.mean_N.size())),
      first_spread_(distribution_.sigma * axes_.lengths_N.maxCoeff()) {}

Point Run::draw(const Coordinates& coordinates, Random& random) const {
  Eigen::VectorXd raw_N = cmaes::draw(distribution_, axes_, random);
  for (Eigen::Index i = 0; i < 10 * coordinates.size() && !is_inside(coordinates, raw_N); ++i) {
    raw_N = cmaes::draw(distribution_, axes_, random);
  }
  raw_N = clipped(coordinates, std::move(raw_N));
  const Eigen::VectorXd& mean_N = distribution_.mean_N;
  return {raw_N, (scale_N_.array() == 1).select(raw_N, mean_N + scale_N_.cwiseProduct(raw_N - mean_N))};
}

void Run::learn(const Coordinates& coordinates, const std::vector<Evaluated>& best_first,
                const std::vector<double>& values) {
  std::vector<Eigen::VectorXd> points;
  for (const Evaluated& member : best_first) {
    points.push_back(member.injected ? injected(distribution_, axes_, member.raw_N) : member.raw_N);
  }
  distribution_ = update(distribution_, axes_, constants_, points);
  axes_ = axes_of(distribution_.covariance_NN);
  keep_margin(coordinates);
  if (values.empty()) return;
  history_.best.push_back(values.front());
  history_.median.push_back(values[values.size() / 2]);
  history_.worst = values.back();
}

void Run::keep_margin(const Coordinates& coordinates) {
  const double margin = 1 / static_cast<double>(coordinates.size() * population_);  // the paper's choice
  for (Eigen::Index i = 0; i < coordinates.size(); ++i) {
    if (!coordinates.discrete(i)) continue;
    double& mean = distribution_.mean_N[i];
    const auto [below, above] = coordinates.borders(i, mean);
    const double deviation = distribution_.sigma * std::sqrt(distribution_.covariance_NN(i, i));
    const Marginal kept = with_margin({mean, scale_N_[i]}, below, above, deviation, margin);
    mean = kept.mean;
    scale_N_[i] = kept.scale;
  }
}

bool Run::has_converged() const {
  return should_stop(distribution_, axes_, history_, population_, first_spread_);
}

nlohmann::json to_json(const Eigen::VectorXd& vector) {
  return std::vector<double>(vector.begin(), vector.end());
}

Eigen::VectorXd vector_from(const nlohmann::json& json, Eigen::Index size) {
  const auto values = json.get<std::vector<double>>();
  if (static_cast<Eigen::Index>(values.size()) != size) throw bad_input("", "the sampler's state is of another space");
  return Eigen::Map<const Eigen::VectorXd>(values.data(), size);
}

nlohmann::json Run::save() const {
  const Distribution& d = distribution_;
  return {{"population", population_},
          {"mean", to_json(d.mean_N)},
          {"sigma", d.sigma},
          {"covariance", to_json(d.covariance_NN.reshaped())},
          {"path_sigma", to_json(d.path_sigma_N)},
          {"path_c", to_json(d.path_c_N)},
          {"generation", d.generation},
          {"scale", to_json(scale_N_)},
          {"best", history_.best},
          {"median", history_.median},
          {"worst", history_.worst},
          {"first_spread", first_spread_}};
}

Run Run::load(const nlohmann::json& state, Eigen::Index parameters) {
  const auto vector = [&](const char* name) { return vector_from(state.at(name), parameters); };
  Distribution d = start(vector("mean"), state.at("sigma").get<double>());
  d.covariance_NN = vector_from(state.at("covariance"), parameters * parameters).reshaped(parameters, parameters);
  d.path_sigma_N = vector("path_sigma");
  d.path_c_N = vector("path_c");
  d.generation = state.at("generation").get<std::int64_t>();
  const auto population = state.at("population").get<Eigen::Index>();
  if (population < 4 || d.generation < 0) throw bad_input("", "the sampler's state is damaged");
  Run run(std::move(d), population);
  run.scale_N_ = vector("scale");
  run.history_ = {state.at("best").get<std::vector<double>>(), state.at("median").get<std::vector<double>>(),
                  state.at("worst").get<double>()};
  run.first_spread_ = state.at("first_spread").get<double>();
  return run;
}

}  // namespace finetune::cmaes
