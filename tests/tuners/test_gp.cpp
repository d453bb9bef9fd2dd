// The Gaussian process sampler: its parts against Optuna 4.9.0 (golden/gp.json, made by golden/gp.py, and the values
// in the tuning notes), and what it does with conditional, discrete, running and failed trials.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "support/places.h"
#include "tuners/registry.h"
#include "tuners/samplers/gp/acquisition.h"
#include "tuners/samplers/gp/encoding.h"
#include "tuners/samplers/gp/fit.h"
#include "tuners/samplers/gp/lbfgs.h"
#include "tuners/samplers/gp/log_ei.h"
#include "tuners/samplers/gp/search.h"

namespace finetune::gp {
namespace {

// Both sides compute in double precision; sums of a few terms of size 1 to 10 agree to a few 1e-15.
constexpr double kGolden = 1e-9;
// Ten digits are written down.
constexpr double kWritten = 1e-8;

Eigen::VectorXd vector_from(const nlohmann::json& json) {
  const auto values = json.get<std::vector<double>>();
  return Eigen::Map<const Eigen::VectorXd>(values.data(), static_cast<Eigen::Index>(values.size()));
}

Eigen::MatrixXd matrix_from(const nlohmann::json& json) {
  Eigen::MatrixXd matrix(json.size(), json[0].size());
  for (std::size_t i = 0; i < json.size(); ++i) matrix.row(static_cast<Eigen::Index>(i)) = vector_from(json[i]);
  return matrix;
}

void expect_near(const Eigen::MatrixXd& ours, const Eigen::MatrixXd& theirs, double bound, const char* what) {
  ASSERT_EQ(ours.rows(), theirs.rows()) << what;
  ASSERT_EQ(ours.cols(), theirs.cols()) << what;
  EXPECT_TRUE(ours.allFinite()) << what;
  EXPECT_LT((ours - theirs).cwiseAbs().maxCoeff(), bound) << what << "\n" << ours << "\nbut\n" << theirs;
}

struct Golden {
  nlohmann::json json = nlohmann::json::parse(std::ifstream(testing::source_dir() + "/tests/golden/gp.json"));
  Points points{matrix_from(json["x"]), {false, false, false, true}};
  Eigen::VectorXd y_N = vector_from(json["y"]);
  Hyperparameters h{vector_from(json["weights"]).array(), json["scale"], json["noise"]};
  Posterior posterior{points, y_N, h};
  Eigen::MatrixXd at_MD = matrix_from(json["at"]);
};

TEST(GpKernel, HasThePublishedValues) {
  Eigen::ArrayXXd d2(5, 1), expected(5, 1);
  d2 << 0, 0.01, 0.25, 1, 4;
  expected << 1, 0.9917592362, 0.8286491424, 0.5239941088, 0.1386602191;
  expect_near(matern52(d2).matrix(), expected.matrix(), kWritten, "matern52");
  const Eigen::ArrayXXd slope = (matern52(d2 + 1e-6) - matern52(d2 - 1e-6).max(0)) / 2e-6;
  // Central differences: error 1e-12 of the third derivative and 1e-10 of rounding.
  expect_near(matern52_slope(d2).bottomRows(4).matrix(), slope.bottomRows(4).matrix(), 1e-8, "slope");
}

TEST(GpKernel, AgreesWithOptunaOnNumbersAndCategories) {
  const Golden golden;
  const Eigen::MatrixXd kernel_NN =
      golden.h.scale * matern52(squared_distances_NM(golden.points, golden.points.x_ND, golden.h.weights_D)).matrix();
  expect_near(kernel_NN, matrix_from(golden.json["kernel"]), kGolden, "kernel");
}

TEST(GpPosterior, AgreesWithOptuna) {
  const Golden golden;
  const Prediction prediction = golden.posterior.predict(golden.at_MD);
  expect_near(prediction.mean_MF, vector_from(golden.json["mean"]), kGolden, "mean");
  expect_near(prediction.variance_M, vector_from(golden.json["variance"]), kGolden, "variance");
}

TEST(GpAcquisition, AgreesWithOptunaInValueAndGradient) {
  const Golden golden;
  const Acquisition acquisition(golden.posterior, std::nullopt);
  Eigen::MatrixXd gradient_MD;
  expect_near(acquisition(golden.at_MD, &gradient_MD), vector_from(golden.json["log_ei"]), kGolden, "log_ei");
  expect_near(gradient_MD, matrix_from(golden.json["log_ei_gradient"]), kGolden, "gradient");
}

TEST(GpAcquisition, GradientsMatchDifferencesWithFantasiesAndFailures) {
  Golden golden;
  golden.posterior.imagine(golden.at_MD.bottomRows(2), 3, Random(1, Purpose::test));
  const Acquisition acquisition(golden.posterior, Feasibility{Posterior(golden.points, -golden.y_N, golden.h), 0.3});
  Eigen::MatrixXd x_MD(1, 4), gradient_MD;
  x_MD << 0.3, 0.6, 0.45, 1;
  acquisition(x_MD, &gradient_MD);
  for (Eigen::Index d = 0; d < 3; ++d) {
    Eigen::MatrixXd above = x_MD, below = x_MD;
    above(0, d) += 1e-5, below(0, d) -= 1e-5;
    // Central differences of a value of size 10: 1e-10 from the step, 1e-10 from rounding.
    EXPECT_NEAR(gradient_MD(0, d), (acquisition(above)(0) - acquisition(below)(0)) / 2e-5, 1e-6) << d;
  }
  EXPECT_EQ(gradient_MD(0, 3), 0);
}

TEST(GpLogEi, HasThePublishedValuesAndIsSmoothWhereItChangesBranch) {
  EXPECT_NEAR(log_ei(0, 1, 0).value, -0.9189385332, kWritten);
  EXPECT_NEAR(log_ei(0, 1, 1).value, -2.4851210257, kWritten);
  EXPECT_NEAR(log_ei(-5, 1, 0).value, -16.7443011627, kWritten);
  EXPECT_NEAR(log_ei(-30, 1, 0).value, -457.7246537606, kWritten);
  EXPECT_NEAR(log_ei(-100, 1, 0).value, -5010.1295788002, kWritten);
  // Across the branch at -25 the value moves by slope x 2e-9 = 5e-8, and both branches hold 1e-10 of it or better.
  EXPECT_NEAR(log_ei(-25 + 1e-9, 1, 0).value - log_ei(-25 - 1e-9, 1, 0).value, 2e-9 * log_ei(-25, 1, 0).by_mean, 1e-9);
  EXPECT_NEAR(log_probability_above(-25 + 1e-9, 1, 0).value - log_probability_above(-25 - 1e-9, 1, 0).value, 5e-8,
              1e-9);
  EXPECT_NEAR(log_probability_above(0, 1, 0).value, std::log(0.5), 1e-15);
  EXPECT_TRUE(std::isfinite(log_ei(-1e6, 1e-12, 0).value));
}

TEST(GpLogEi, DerivativesMatchDifferences) {
  for (const double mean : {-40.0, -26.0, -24.0, -3.0, 0.0, 2.0}) {
    for (const auto score : {log_ei, log_probability_above}) {
      const Scored at = score(mean, 0.8, 0.1);
      const double by_mean = (score(mean + 1e-5, 0.8, 0.1).value - score(mean - 1e-5, 0.8, 0.1).value) / 2e-5;
      const double by_variance = (score(mean, 0.8 + 1e-6, 0.1).value - score(mean, 0.8 - 1e-6, 0.1).value) / 2e-6;
      // Relative error of central differences at these steps; values reach 1000, so rounding gives 1e-13 / 1e-6.
      EXPECT_NEAR(at.by_mean, by_mean, 1e-6 * std::max(1.0, std::abs(by_mean))) << mean;
      EXPECT_NEAR(at.by_variance, by_variance, 1e-6 * std::max(1.0, std::abs(by_variance))) << mean;
    }
  }
}

// Six points and -(x0 - .3)^2 - 2 (x1 - .6)^2, standardised.
struct Six {
  Points points{Eigen::MatrixXd(6, 2), {false, false}};
  Eigen::VectorXd y_N{6};
  Six() {
    points.x_ND << .1, .2, .4, .9, .8, .3, .6, .6, .25, .75, .9, .9;
    for (Eigen::Index i = 0; i < 6; ++i) {
      y_N(i) = -std::pow(points.x_ND(i, 0) - .3, 2) - 2 * std::pow(points.x_ND(i, 1) - .6, 2);
    }
    y_N.array() -= y_N.mean();
    y_N /= std::sqrt(y_N.squaredNorm() / 6);
  }
};

TEST(GpFit, LossPriorAndPosteriorHaveThePublishedValues) {
  const Six six;
  const Hyperparameters h{Eigen::Array2d(4, 1), 1, 0.01};
  EXPECT_NEAR(log_prior(h), -2.3855170186, kWritten);
  Eigen::VectorXd logs(4);
  logs << std::log(4.0), 0, 0, std::log(0.01 - kLeastNoise);
  EXPECT_NEAR(MapLoss(six.points, six.y_N)(logs, nullptr), 15.3279318891 + 2.3855170186, kWritten);
  const Posterior posterior(six.points, six.y_N, h);
  Eigen::MatrixXd at_MD(2, 2);
  at_MD << .3, .6, .95, .05;
  const Prediction prediction = posterior.predict(at_MD);
  expect_near(prediction.mean_MF, Eigen::Vector2d(1.2067943796, -1.6603587578), kWritten, "mean");
  expect_near(prediction.variance_M, Eigen::Vector2d(0.0292300565, 0.1543295265), kWritten, "variance");
}

TEST(GpFit, LossAgreesWithOptunaInValueAndGradient) {
  const Golden golden;
  Eigen::VectorXd logs(6), gradient;
  logs << golden.h.weights_D.log().matrix(), std::log(golden.h.scale), std::log(golden.h.noise - kLeastNoise);
  const double loss = MapLoss(golden.points, golden.y_N)(logs, &gradient);
  EXPECT_NEAR(loss, golden.json["loss"].get<double>(), kGolden);
  expect_near(gradient, vector_from(golden.json["loss_gradient"]), kGolden, "gradient");
}

TEST(GpFit, FindsOptunasHyperparameters) {
  const Six six;
  const Hyperparameters h = fit(six.points, six.y_N);
  // Optuna stops at a gradient of 1e-2, as this does: both are within about 1 % of the minimum.
  EXPECT_NEAR(h.weights_D(0), 3.067, 0.1);
  EXPECT_NEAR(h.weights_D(1), 8.730, 0.2);
  EXPECT_NEAR(h.scale, 1.566, 0.05);
  EXPECT_NEAR(h.noise, 0.00336, 0.001);
}

TEST(GpLbfgs, FindsRosenbrocksMinimumAndStopsAtBounds) {
  const auto minimum = [](double upper) {
    const Eigen::Vector2d start(-1.2, 1), low(-2, -2), high(upper, 2);
    Lbfgs run(start, low, high, {.gradient_tolerance = 1e-8});
    int evaluations = 0;
    for (; !run.done(); ++evaluations) {
      const Eigen::Vector2d x = run.point();
      EXPECT_TRUE((x.array() >= low.array()).all() && (x.array() <= high.array()).all());
      const double a = x(1) - x(0) * x(0), b = 1 - x(0);
      run.tell(100 * a * a + b * b, Eigen::Vector2d(-400 * a * x(0) - 2 * b, 200 * a));
    }
    EXPECT_LT(evaluations, 100);  // about 50; steepest descent takes thousands
    return run.best();
  };
  expect_near(minimum(2), Eigen::Vector2d(1, 1), 1e-6, "inside");
  expect_near(minimum(0.5), Eigen::Vector2d(0.5, 0.25), 1e-6, "at the bound");
}

TEST(GpPosterior, FantasiesPassThroughWhatWasObservedAndVaryWhereNothingWas) {
  Golden golden;
  const Prediction before = golden.posterior.predict(golden.at_MD);
  golden.posterior.imagine(golden.at_MD.topRows(1), 2000, Random(2, Purpose::test));
  const Eigen::MatrixXd& values_NF = golden.posterior.values_NF();
  expect_near(values_NF.topRows(7), golden.y_N.replicate(1, 2000), kGolden, "observed");
  const auto drawn_F = values_NF.row(7).array();
  const double mean = drawn_F.mean(), variance = (drawn_F - mean).square().mean();
  const double expected = before.variance_M(0) + golden.h.noise;
  // Four standard errors of 2000 draws.
  EXPECT_NEAR(mean, before.mean_MF(0, 0), 4 * std::sqrt(expected / 2000));
  EXPECT_NEAR(variance, expected, 4 * expected * std::sqrt(2.0 / 2000));
  EXPECT_LT(golden.posterior.predict(golden.at_MD).variance_M(0), golden.h.noise);
}

SearchSpace tree() {
  SearchSpace space;
  space.parameters = {{.name = "kind", .choices = {std::string("a"), std::string("b")}},
                      {.name = "only_a", .low = 0, .high = 1, .when = {{"kind", {std::string("a")}}}},
                      {.name = "only_b", .choices = {true, false}, .when = {{"kind", {std::string("b")}}}},
                      {.name = "whole", .low = 1, .high = 1000, .log = true, .integer = true}};
  return space;
}

TEST(GpEncoding, InactiveParametersDoNotMatterAndValuesComeBack) {
  const Encoding encoding(tree());
  const Params params{{"kind", std::string("b")}, {"only_b", false}, {"whole", std::int64_t{37}}};
  Eigen::RowVectorXd latent = encoding.to_latent(params);
  EXPECT_EQ(encoding.to_params(latent), params);
  const Eigen::RowVectorXd model = encoding.to_model(latent);
  latent(1) = 0.123;  // only_a does not exist here
  EXPECT_EQ(encoding.to_model(latent), model);
  EXPECT_EQ(encoding.to_params(latent), params);
  latent(0) = 0;
  EXPECT_EQ(encoding.to_params(latent),
            (Params{{"kind", std::string("a")}, {"only_a", 0.123}, {"whole", std::int64_t{37}}}));
}

TrialRecord ended(std::int64_t id, Params params, std::optional<double> value,
                  TrialState state = TrialState::completed) {
  TrialRecord trial{.id = {id}, .params = std::move(params), .state = state, .step = 1};
  if (value) trial.values = {{1, *value}};
  return trial;
}

// Plays a study of one trial at a time; nothing as a value is a failure.
std::vector<TrialRecord> play(const SearchSpace& space, std::int64_t count, std::uint64_t seed,
                              const std::function<std::optional<double>(const Params&)>& objective) {
  const auto sampler = make_sampler("gp", {{}, space, seed});
  std::vector<TrialRecord> trials;
  for (std::int64_t id = 0; id < count; ++id) {
    const Params params = *sampler->suggest({id}, trials);
    const auto value = objective(params);
    trials.push_back(ended(id, params, value, value ? TrialState::completed : TrialState::failed));
  }
  return trials;
}

SearchSpace square_space() {
  SearchSpace space;
  space.parameters = {{.name = "x", .low = 0, .high = 1}, {.name = "y", .low = 0, .high = 1}};
  return space;
}

double best_of(const std::vector<TrialRecord>& trials) {
  double best = 1e9;
  for (const auto& trial : trials) {
    for (const auto& [step, value] : trial.values) best = std::min(best, value);
  }
  return best;
}

TEST(GpSampler, LearnsInEachBranchOfAConditionalSpace) {
  // The best is 0.1 at (b, false, 100); the other branch offers 0.3 at only_a = 0.8.
  const auto objective = [](const Params& params) -> std::optional<double> {
    const double size = std::log10(as_number(*find_param(params, "whole"))) - 2;
    if (const Value* a = find_param(params, "only_a")) return 0.3 + std::pow(as_number(*a) - 0.8, 2) + size * size;
    return (std::get<bool>(*find_param(params, "only_b")) ? 0.2 : 0.1) + size * size;
  };
  // Random search reaches 0.1 + 0.01 only when it draws (b, false) with `whole` in 79..126: 1.7 % a trial, 40 % in 30.
  for (const std::uint64_t seed : {1, 2, 3}) EXPECT_LT(best_of(play(tree(), 30, seed, objective)), 0.11) << seed;
}

TEST(GpSampler, ProposalsLeaveTheRegionThatFails) {
  // The objective falls towards the part that fails (x + y > 1, half of the space), so only its model keeps away.
  const auto objective = [](const Params& params) -> std::optional<double> {
    const double x = as_number(params[0].second), y = as_number(params[1].second);
    if (x + y > 1) return std::nullopt;
    return 1 - x - y;
  };
  int early = 0, late = 0;
  for (const std::uint64_t seed : {1, 2, 3, 4}) {
    const auto trials = play(square_space(), 40, seed, objective);
    for (std::size_t i = 0; i < trials.size(); ++i) {
      if (trials[i].state == TrialState::failed) ++(i < 10 ? early : late);
    }
  }
  // Startup fails half of the time; proposals at the very edge still fail at times, but less often.
  EXPECT_GT(early, 12);                      // of 40
  EXPECT_LT(late * 40, 0.75 * early * 120);  // of 120
}

TEST(GpSampler, RunningTrialsAreNotProposedAgain) {
  const auto objective = [](const Params& params) -> std::optional<double> {
    return std::pow(as_number(params[0].second) - 0.3, 2) + std::pow(as_number(params[1].second) - 0.6, 2);
  };
  auto trials = play(square_space(), 12, 5, objective);
  const auto sampler = make_sampler("gp", {{}, square_space(), 5});
  std::vector<Params> asked;
  for (std::int64_t id = 12; id < 16; ++id) {
    asked.push_back(*sampler->suggest({id}, trials));
    trials.push_back(ended(id, asked.back(), std::nullopt, TrialState::running));
  }
  for (std::size_t i = 0; i < asked.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      const double dx = as_number(asked[i][0].second) - as_number(asked[j][0].second);
      const double dy = as_number(asked[i][1].second) - as_number(asked[j][1].second);
      // Without fantasies all four are the same point to within the search's tolerance, about 1e-3.
      EXPECT_GT(std::hypot(dx, dy), 0.01) << i << " " << j;
    }
  }
}

TEST(GpSampler, ListsASmallSpaceBeforeItRepeatsItself) {
  SearchSpace space;
  space.parameters = {{.name = "k", .low = 1, .high = 4, .integer = true}, {.name = "c", .choices = {true, false}}};
  const auto trials = play(space, 24, 1, [](const Params& p) { return std::optional(as_number(p[0].second)); });
  EXPECT_EQ(best_of(trials), 1);
}

}  // namespace
}  // namespace finetune::gp
