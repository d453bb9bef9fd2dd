// CMA-ES: its distribution, margin and warm start against the cmaes package 0.13.0 (golden/cma_es.json, made by
// golden/cma_es.py), its stop rules, and what the sampler makes of trials that fail, stop early or were listed.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "support/places.h"
#include "tuners/registry.h"
#include "tuners/samplers/cmaes/margin.h"
#include "tuners/samplers/cmaes/run.h"

namespace finetune::cmaes {
namespace {

// Both sides compute in double precision; twenty generations amplify rounding (1e-16) by the growth of the
// distribution's condition number, at most a few thousand here.
constexpr double kGolden = 1e-9;

const nlohmann::json& golden() {
  static const auto json = nlohmann::json::parse(std::ifstream(testing::source_dir() + "/tests/golden/cma_es.json"));
  return json;
}

Eigen::VectorXd vector_of(const nlohmann::json& json) {
  return vector_from(json, static_cast<Eigen::Index>(json.size()));
}

std::vector<Eigen::VectorXd> points_of(const nlohmann::json& json) {
  std::vector<Eigen::VectorXd> points;
  for (const auto& point : json) points.push_back(vector_of(point));
  return points;
}

void expect_near(const Eigen::VectorXd& ours, const Eigen::VectorXd& theirs, const char* what) {
  ASSERT_EQ(ours.size(), theirs.size()) << what;
  EXPECT_LT((ours - theirs).cwiseAbs().maxCoeff(), kGolden) << what << "\n" << ours << "\nbut\n" << theirs;
}

void expect_state(const Distribution& ours, const nlohmann::json& theirs) {
  expect_near(ours.mean_N, vector_of(theirs["mean"]), "mean");
  EXPECT_NEAR(ours.sigma, theirs["sigma"].get<double>(), kGolden);
  expect_near(ours.covariance_NN.reshaped(), vector_of(theirs["covariance"]), "covariance");
  if (!theirs.contains("path_c")) return;
  expect_near(ours.path_sigma_N, vector_of(theirs["path_sigma"]), "path of sigma");
  expect_near(ours.path_c_N, vector_of(theirs["path_c"]), "path of the covariance");
}

TEST(CmaEs, UpdatesAsThePackageDoes) {
  for (const auto& game : golden()["plain"]) {
    const auto n = static_cast<Eigen::Index>(game["after"]["mean"].size());
    Distribution distribution = start(Eigen::VectorXd::Constant(n, 0.5), 1.0 / 6);
    const Constants c = constants(n, game["population"].get<Eigen::Index>());
    for (const auto& generation : game["generations"])
      distribution = update(distribution, axes_of(distribution.covariance_NN), c, points_of(generation));
    expect_state(distribution, game["after"]);
  }
}

SearchSpace cells(const nlohmann::json& counts) {
  SearchSpace space;
  for (const auto& count : counts) {
    ParameterSpec spec{.name = "x" + std::to_string(space.parameters.size()), .low = 0, .high = 1};
    if (count > 0) spec.low = 1, spec.high = count, spec.integer = true;
    space.parameters.push_back(spec);
  }
  return space;
}

TEST(CmaEs, KeepsTheMarginAsThePackageDoes) {
  for (const auto& game : golden()["margin"]) {
    const Coordinates coordinates(cells(game["counts"]));
    cmaes::Run run(start(Eigen::VectorXd::Constant(coordinates.size(), game["start"]), game["sigma"]),
                   game["population"]);
    for (const auto& generation : game["generations"]) {
      std::vector<Evaluated> members;
      for (const auto& point_N : points_of(generation)) members.push_back({point_N});
      run.learn(coordinates, members, {});
    }
    expect_state(run.distribution(), game["after"]);
    expect_near(vector_of(run.save()["scale"]), vector_of(game["scale"]), "scale");
  }
}

TEST(CmaEs, StartsFromOthersTrialsAsThePackageDoes) {
  for (const auto& game : golden()["warm"]) expect_state(warm_start(points_of(game["points"])), game);
}

TEST(CmaEs, PopulationIsFourPlusThreeLogarithms) {
  EXPECT_EQ(default_population(1), 4);
  EXPECT_EQ(default_population(5), 8);
  EXPECT_EQ(default_population(10), 10);
}

// Published quantiles of the normal distribution, sixteen digits.
TEST(CmaEs, QuantilesAreExact) {
  EXPECT_NEAR(upper_quantile(0.025), 1.959963984540054, 1e-14);
  EXPECT_NEAR(upper_quantile(1e-10), 6.361340902404056, 1e-13);
  EXPECT_NEAR(upper_quantile(0.5), 0, 1e-14);
}

// What the paper promises: no neighbouring cell has less than half the margin.
TEST(CmaEs, NeighbouringCellsKeepTheirShare) {
  const auto tail = [](double x) { return 0.5 * std::erfc(x / std::sqrt(2)); };
  Random random(1, Purpose::test);
  for (int i = 0; i < 1000; ++i) {
    const Marginal now{random.uniform(0.4, 0.6), random.uniform(0.5, 2)};
    const double deviation = std::exp(random.uniform(-10, 1)), margin = random.uniform(0.001, 0.2);
    const Marginal kept = with_margin(now, 0.4, 0.6, deviation, margin);
    const double spread = kept.scale * deviation;
    // A mean of 0.4 is rounded to 1e-16, which is 1e-11 standard deviations at the smallest spread.
    EXPECT_GE(tail((kept.mean - 0.4) / spread), margin / 2 * (1 - 1e-10));
    EXPECT_GE(tail((0.6 - kept.mean) / spread), margin / 2 * (1 - 1e-10));
    const Marginal edge = with_margin(now, 0.39, 0.39, deviation, margin);
    EXPECT_GE(tail((edge.mean - 0.39) / (edge.scale * deviation)), std::min(margin, 0.5) * (1 - 1e-10));
  }
}

TEST(CmaEs, DrawsHaveTheDistributionsMeanAndCovariance) {
  Eigen::MatrixXd covariance_NN(2, 2);
  covariance_NN << 4, 1.5, 1.5, 1;
  const Distribution distribution = start(Eigen::Vector2d(1, -1), 0.5, covariance_NN);
  const Axes axes = axes_of(covariance_NN);
  Random random(3, Purpose::test);
  constexpr int kDraws = 20000;
  Eigen::MatrixXd offsets_NM(2, kDraws);
  for (int i = 0; i < kDraws; ++i) offsets_NM.col(i) = (draw(distribution, axes, random) - distribution.mean_N) / 0.5;
  // Five standard errors: of a mean at most 2/sqrt(20000), of a second moment at most sqrt(2) 4/sqrt(20000).
  EXPECT_LT(offsets_NM.rowwise().mean().cwiseAbs().maxCoeff(), 5 * 2 / std::sqrt(kDraws));
  const Eigen::MatrixXd measured_NN = offsets_NM * offsets_NM.transpose() / kDraws;
  EXPECT_LT((measured_NN - covariance_NN).cwiseAbs().maxCoeff(), 5 * 5.7 / std::sqrt(kDraws));
}

TEST(CmaEs, InjectedPointsComeNoFartherThanDrawsDo) {
  const Distribution distribution = start(Eigen::VectorXd::Zero(4), 0.1);
  const Axes axes = axes_of(distribution.covariance_NN);
  const Eigen::VectorXd near_N = Eigen::VectorXd::Constant(4, 0.1);
  EXPECT_EQ(injected(distribution, axes, near_N), near_N);
  // sqrt(4) + 2 x 4 / (4 + 2) standard deviations of 0.1.
  EXPECT_NEAR(injected(distribution, axes, 100 * near_N).norm(), 0.1 * (2 + 8.0 / 6), 1e-12);
}

bool stops(const Distribution& distribution, const History& history = {}) {
  return should_stop(distribution, axes_of(distribution.covariance_NN), history, 6, 0.2);
}

TEST(CmaEsStop, ARunEndsWhenItsDistributionSaysSo) {
  const Distribution fresh = start(Eigen::Vector2d(0.5, 0.5), 0.2);
  EXPECT_FALSE(stops(fresh));
  Distribution small = fresh, large = fresh, flat = fresh, stuck = fresh;
  small.sigma = 1e-14;
  EXPECT_TRUE(stops(small));
  large.sigma = 3000;
  EXPECT_TRUE(stops(large));
  flat.covariance_NN(0, 0) = 1e15;
  flat.sigma = 1e-9;  // neither small nor large: the ratio of the axes alone
  EXPECT_TRUE(stops(flat));
  stuck.mean_N[0] = 1e17;  // 0.2 cannot change it
  EXPECT_TRUE(stops(stuck));
}

TEST(CmaEsStop, ARunEndsWhenItsValuesStayAsTheyAre) {
  const Distribution d = start(Eigen::Vector2d(0.5, 0.5), 0.2);
  // N = 2, L = 6: windows of 10 + 30 x 2 / 6 = 20 generations, and of 120 + 10 for stagnation.
  const std::vector<double> same(20, 1.0), fewer(19, 1.0);
  EXPECT_TRUE(stops(d, {same, same, 5}));
  EXPECT_FALSE(stops(d, {fewer, fewer, 1}));
  std::vector<double> falling, wavy;
  for (int i = 0; i < 130; ++i) falling.push_back(1.0 / (1 + i)), wavy.push_back(i % 2);
  EXPECT_FALSE(stops(d, {falling, wavy, 1}));
  EXPECT_FALSE(stops(d, {wavy, falling, 1}));
  EXPECT_TRUE(stops(d, {wavy, wavy, 1}));
  wavy.pop_back();
  EXPECT_FALSE(stops(d, {wavy, wavy, 1}));
}

}  // namespace
}  // namespace finetune::cmaes

namespace finetune::testing {
namespace {

SearchSpace line() {
  SearchSpace space;
  space.parameters = {{.name = "x", .low = 0, .high = 1}};
  return space;
}

TrialRecord ended(std::int64_t id, Params params, TrialState state, std::int64_t step, double value) {
  return {.id = {id}, .params = std::move(params), .state = state, .values = {{step, value}}, .step = step};
}

/// Trials one after the other; nothing where the objective has none: those fail.
std::vector<TrialRecord> play(Sampler& sampler, std::size_t count,
                              const std::function<std::optional<double>(const Params&)>& objective,
                              std::vector<TrialRecord> trials = {}) {
  while (trials.size() < count) {
    const auto id = static_cast<std::int64_t>(trials.size());
    Params params = *sampler.suggest({id}, trials);
    const auto value = objective(params);
    trials.push_back(
        ended(id, std::move(params), value ? TrialState::completed : TrialState::failed, 1, value.value_or(0)));
  }
  return trials;
}

double at(const Params& params, const char* name) {
  return as_number(*find_param(params, name));
}

double best_of(const std::vector<TrialRecord>& trials) {
  double best = std::numeric_limits<double>::infinity();
  for (const auto& trial : trials) best = std::min(best, trial.values.back().second);
  return best;
}

// The mean after one generation of four: it moves to the two best.
double mean_after(const std::function<std::vector<TrialRecord>(const std::vector<Params>&)>& outcome) {
  const auto sampler = make_sampler("cmaes", {{}, line(), 7});
  std::vector<Params> asked;
  for (std::int64_t id = 0; id < 4; ++id) asked.push_back(*sampler->suggest({id}, {}));
  sampler->suggest({4}, outcome(asked));
  return sampler->save()["run"]["mean"][0].get<double>();
}

double mean_of_best(std::size_t best, std::size_t second) {
  const auto sampler = make_sampler("cmaes", {{}, line(), 7});
  std::vector<double> x;
  for (std::int64_t id = 0; id < 4; ++id) x.push_back(at(*sampler->suggest({id}, {}), "x"));
  const auto weights_L = cmaes::constants(1, 4).weights_L;
  return weights_L[0] * x[best] + weights_L[1] * x[second];
}

// Further is better than lower; failed is worst whatever it said before, worse than nothing said. 1e-12: rounding.
TEST(CmaEsSampler, TrialsAreRankedByHowFarTheyGotThenByValue) {
  const double by_step = mean_after([](const auto& asked) {
    return std::vector<TrialRecord>{
        ended(0, asked[0], TrialState::stopped, 3, 1), ended(1, asked[1], TrialState::completed, 12, 5),
        ended(2, asked[2], TrialState::failed, 13, 0.1), ended(3, asked[3], TrialState::paused, 6, 3)};
  });
  EXPECT_NEAR(by_step, mean_of_best(1, 3), 1e-12);
  const double by_value = mean_after([](const auto& asked) {
    return std::vector<TrialRecord>{
        ended(0, asked[0], TrialState::completed, 3, 1), ended(1, asked[1], TrialState::completed, 3, 5),
        ended(2, asked[2], TrialState::completed, 3, 0.1), ended(3, asked[3], TrialState::completed, 3, 3)};
  });
  EXPECT_NEAR(by_value, mean_of_best(2, 0), 1e-12);
  const double failed_last = mean_after([](const auto& asked) {
    TrialRecord silent = ended(2, asked[2], TrialState::stopped, 1, 0);
    silent.values.clear();
    return std::vector<TrialRecord>{ended(0, asked[0], TrialState::failed, 3, 1),
                                    ended(1, asked[1], TrialState::failed, 3, 5), silent,
                                    ended(3, asked[3], TrialState::completed, 3, 3)};
  });
  EXPECT_NEAR(failed_last, mean_of_best(3, 2), 1e-12);
}

TEST(CmaEsSampler, ARunningTrialIsNotLearnedFrom) {
  const auto sampler = make_sampler("cmaes", {{}, line(), 7});
  std::vector<TrialRecord> trials;
  for (std::int64_t id = 0; id < 4; ++id) {
    trials.push_back(
        ended(id, *sampler->suggest({id}, {}), id == 2 ? TrialState::running : TrialState::completed, 1, 1));
  }
  sampler->suggest({4}, trials);
  EXPECT_EQ(sampler->save()["run"]["generation"], 0);
  trials[2].state = TrialState::completed;
  sampler->suggest({5}, trials);
  EXPECT_EQ(sampler->save()["run"]["generation"], 1);
}

// With sigma 1 a draw is inside with probability 0.38, so one in 190 is left outside after ten more and is clipped;
// with sigma 10 most are.
TEST(CmaEsSampler, DrawsOutsideAreDrawnAgainThenClipped) {
  for (const double sigma : {1.0, 10.0}) {
    const auto sampler = make_sampler("cmaes", {{{"sigma", sigma}}, line(), 7});
    int on_the_bounds = 0;
    for (std::int64_t id = 0; id < 200; ++id) sampler->suggest({id}, {});
    const auto saved = sampler->save();
    for (const auto& member : saved["members"]) {
      const double x = member[2][0];
      EXPECT_TRUE(x >= 0 && x <= 1) << x;
      on_the_bounds += x == 0 || x == 1;
    }
    EXPECT_EQ(on_the_bounds > 10, sigma > 1) << on_the_bounds;
  }
}

// Proposals start around 0.5; whatever is proposed, what runs is 0.9.
TEST(CmaEsSampler, ATrialThatRanWithOtherValuesTeachesByThose) {
  const auto sampler = make_sampler("cmaes", {{}, line(), 7});
  std::vector<TrialRecord> trials;
  for (std::int64_t id = 0; id < 41; ++id) {
    sampler->suggest({id}, trials);
    trials.push_back(ended(id, {{"x", 0.9}}, TrialState::completed, 1, 1));
  }
  EXPECT_NEAR(sampler->save()["run"]["mean"][0].get<double>(), 0.9, 0.05);
}

TEST(CmaEsSampler, SearchesAroundAListedTrial) {
  const Params narrow{{"sigma", 1e-3}};
  const auto sampler = make_sampler("cmaes", {narrow, line(), 7, {{{"x", 0.9}}, {{"x", 0.2}}}});
  const auto trials = play(*sampler, 3, [](const Params& p) { return at(p, "x"); });
  // Five standard deviations around the better one.
  EXPECT_NEAR(at(trials[2].params, "x"), 0.2, 5e-3);
  // Before any has a value: around the first.
  const auto early = make_sampler("cmaes", {narrow, line(), 7, {{{"x", 0.9}}, {{"x", 0.2}}}});
  std::vector<TrialRecord> running{ended(0, {{"x", 0.9}}, TrialState::running, 0, 0),
                                   ended(1, {{"x", 0.2}}, TrialState::running, 0, 0)};
  for (auto& trial : running) trial.values.clear();
  EXPECT_NEAR(at(*early->suggest({2}, running), "x"), 0.9, 5e-3);
}

TEST(CmaEsSampler, TenTrialsOfOthersGiveItsFirstDistribution) {
  std::vector<TrialRecord> others;
  for (std::int64_t id = 0; id < 10; ++id) {
    others.push_back(
        ended(id, {{"x", 0.05 + 0.1 * static_cast<double>(id)}}, TrialState::completed, 1, id == 8 ? 0 : 1));
  }
  const auto sampler = make_sampler("cmaes", {{}, line(), 7});
  sampler->suggest({10}, others);
  // The best tenth is one trial; the spread that the paper's smoothing leaves is 0.1.
  EXPECT_NEAR(sampler->save()["run"]["mean"][0].get<double>(), 0.85, 1e-12);
  EXPECT_NEAR(sampler->save()["run"]["sigma"].get<double>(), 0.1, 1e-12);
}

TEST(CmaEsSampler, ConvergesOnABowlWithWholeNumbersInIt) {
  SearchSpace space;
  space.parameters = {{.name = "a", .low = -5, .high = 5},
                      {.name = "b", .low = 1e-6, .high = 1, .log = true},
                      {.name = "c", .low = 0, .high = 100, .integer = true},
                      {.name = "d", .low = 1, .high = 500, .log = true, .integer = true}};
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    const auto sampler = make_sampler("cmaes", {{{"restarts", std::string("none")}}, space, seed});
    const auto trials = play(*sampler, 1500, [](const Params& p) {
      return std::pow(at(p, "a") - 1, 2) + std::pow(std::log10(at(p, "b")) + 3, 2) + std::pow(at(p, "c") - 90, 2) +
             std::pow(at(p, "d") - 7, 2);
    });
    // Reached only with both whole numbers exact; the real ones converge by a power of ten in 60 to 100 trials.
    EXPECT_LT(best_of(trials), 1e-6) << "seed " << seed;
  }
}

TEST(CmaEsSampler, FailuresBecomeRare) {
  SearchSpace space = line();
  space.parameters.push_back({.name = "y", .low = 0, .high = 1});
  std::size_t early = 0, late = 0;
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    const auto trials = play(*make_sampler("cmaes", {{}, space, seed}), 90, [](const Params& p) {
      return at(p, "x") > 0.5 ? std::nullopt : std::optional(std::pow(at(p, "x") - 0.4, 2) + at(p, "y"));
    });
    for (std::size_t k = 0; k < 30; ++k) {
      early += trials[k].state == TrialState::failed;
      late += trials[60 + k].state == TrialState::failed;
    }
  }
  EXPECT_GT(early, 60u);  // of 300; the start is symmetrical about the border
  EXPECT_LT(late, early / 2);
}

// Six values, one coordinate: the best value is the same for ten generations and more.
TEST(CmaEsSampler, StartsAgainWithTwiceTheMembersWhenItHasConverged) {
  SearchSpace space;
  space.parameters = {{.name = "n", .low = 1, .high = 6, .integer = true}};
  const auto value = [](const Params& p) { return std::abs(at(p, "n") - 2); };
  const auto sampler = make_sampler("cmaes", {{}, space, 1});
  play(*sampler, 120, value);
  EXPECT_EQ(sampler->save()["restarts"], 1);
  EXPECT_EQ(sampler->save()["run"]["population"], 8);
  const auto single = make_sampler("cmaes", {{{"restarts", std::string("none")}}, space, 1});
  play(*single, 120, value);
  EXPECT_EQ(single->save()["restarts"], 0);
}

// A choice that depends on a whole number that CMA-ES moves, and a space without any number.
TEST(CmaEsSampler, ConditionsHoldForTheValuesItProposes) {
  SearchSpace space;
  space.parameters = {{.name = "layers", .low = 1, .high = 3, .integer = true},
                      {.name = "extra", .low = 0, .high = 1, .when = {{"layers", {std::int64_t{3}}}}}};
  const auto sampler = make_sampler("cmaes", {{}, space, 4});
  for (const auto& trial : play(*sampler, 60, [](const Params& p) { return at(p, "layers"); })) {
    EXPECT_EQ(find_param(trial.params, "extra") != nullptr, at(trial.params, "layers") == 3);
  }
  SearchSpace choices;
  choices.parameters = {{.name = "kind", .choices = {std::string("a"), std::string("b")}}};
  const auto plain = make_sampler("cmaes", {{}, choices, 4});
  EXPECT_TRUE(plain->suggest({0}, {}).has_value());
  EXPECT_TRUE(plain->save().is_null());
}

std::string refusal(const Params& options) {
  try {
    make_sampler("cmaes", {options, line(), 0});
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

TEST(CmaEsSampler, OptionsOutOfRangeAreRefusedByTheirKey) {
  EXPECT_NE(refusal({{"population", std::int64_t{3}}}).find("tune.sampler.population"), std::string::npos);
  EXPECT_NE(refusal({{"sigma", 0.0}}).find("tune.sampler.sigma"), std::string::npos);
  EXPECT_NE(refusal({{"restarts", std::string("bipop")}}).find("ipop, none"), std::string::npos);
  EXPECT_NE(refusal({{"popsize", 4.0}}).find("options: population, sigma, restarts"), std::string::npos);
}

}  // namespace
}  // namespace finetune::testing
