// TPE against Optuna 4.9.0 (tests/golden/tpe.py), and what its own rules promise.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "core/error.h"
#include "support/compare.h"
#include "support/goldens.h"
#include "support/objectives.h"
#include "tuners/registry.h"
#include "tuners/samplers/tpe/model.h"
#include "tuners/samplers/tpe/truncated_normal.h"

namespace finetune::testing {
namespace {

using Json = nlohmann::ordered_json;
using Numbers = std::vector<double>;

// The same formulas in double precision, summed in another order: rounding only. Log densities reach a few hundred.
constexpr Bound kExact{.absolute = 1e-9, .relative = 1e-9};

::testing::AssertionResult same(const Numbers& actual, const Numbers& expected) {
  return all_near(std::span(actual), std::span(expected), kExact);
}

const Json& golden() {
  static const Json json = read_golden("tpe.json");
  return json;
}

ParameterSpec spec_from(const std::string& name, const Json& json) {
  ParameterSpec spec{.name = name};
  for (const auto& choice : json.value("choices", Json::array())) spec.choices.push_back(value_from_json(choice));
  if (spec.categorical()) return spec;
  spec.low = json.at("low").get<double>();
  spec.high = json.at("high").get<double>();
  spec.log = json.value("log", false);
  spec.integer = json.value("int", false);
  if (json.contains("step")) spec.step = json.at("step").get<double>();
  return spec;
}

SearchSpace space_from(const Json& json) {
  SearchSpace space;
  for (const auto& [name, axis] : json.items()) space.parameters.push_back(spec_from(name, axis));
  return space;
}

Columns columns_from(const Json& json) {
  Columns columns;
  for (const auto& [name, column] : json.items()) columns.push_back(column.get<Numbers>());
  return columns;
}

// ------------------------------------------------------------------------------------------------ against Optuna

TEST(TruncatedNormal, IsOptunas) {
  for (const auto& json : golden().at("tails")) {
    const double a = json.at("a").get<double>(), b = json.at("b").get<double>();
    SCOPED_TRACE(json.dump());
    EXPECT_TRUE(near(log_normal_mass(a, b), json.at("log_mass").get<double>(), kExact));
    Numbers quantiles;
    for (const double q : json.at("q").get<Numbers>()) quantiles.push_back(truncated_normal_quantile(q, a, b));
    EXPECT_TRUE(same(quantiles, json.at("quantile").get<Numbers>()));
  }
}

TEST(TruncatedNormal, TheInverseGivesBackWhereItCameFrom) {
  // log cdf changes by |x| times the change of x in the tail and hardly at all far right, where the log of 1 - p ends.
  for (double x = -200; x < 6; x += 0.37) {
    EXPECT_TRUE(near(inverse_log_normal_cdf(log_normal_cdf(x)), x, {.absolute = 1e-8, .relative = 1e-12})) << x;
  }
  EXPECT_EQ(truncated_normal_quantile(0, -2, 1), -2);
  EXPECT_EQ(truncated_normal_quantile(1, 2, 3), 3);
}

TEST(TruncatedNormal, NarrowAndHalfInfiniteIntervalsKeepTheirMass) {
  // A narrow interval holds density times width; the error of the product is width^2 / 24.
  EXPECT_TRUE(near(log_normal_mass(-1e-7, 1e-7), std::log(2e-7 / std::sqrt(2 * M_PI)), {.absolute = 1e-9}));
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(log_normal_mass(-infinity, infinity), 0);
  EXPECT_TRUE(near(log_normal_mass(-infinity, -30), log_normal_cdf(-30), kExact));
  EXPECT_TRUE(near(log_normal_mass(30, infinity), log_normal_cdf(-30), kExact));
}

TEST(Parzen, AgeWeightsAndGoodCountsAreOptunas) {
  for (const auto& json : golden().at("age_weights")) {
    if (json.empty())
      EXPECT_TRUE(age_weights(0).empty());
    else
      EXPECT_TRUE(same(age_weights(json.size()), json.get<Numbers>()));
  }
  for (const auto& pair : golden().at("good_count")) {
    EXPECT_EQ(good_count(pair.at(0).get<std::size_t>()), pair.at(1).get<std::size_t>()) << pair.at(0);
  }
}

// The estimator's own probabilities of a categorical kernel, read off as densities of a mixture of that kernel alone.
void expect_kernels(const AxisKernels& kernels, const Json& expected) {
  if (kernels.axis.choices > 0) return;  // compared by their density
  EXPECT_TRUE(same(kernels.centre, expected.at("centre").get<Numbers>()));
  EXPECT_TRUE(same(kernels.sigma, expected.at("sigma").get<Numbers>()));
}

TEST(Parzen, WeightsKernelsAndDensitiesAreOptunas) {
  for (const auto& json : golden().at("parzen")) {
    std::vector<ParzenAxis> axes;
    for (const auto& [name, axis] : json.at("axes").items()) axes.push_back(axis_of(spec_from(name, axis)));
    const std::pair<const char*, Bandwidth> rules[] = {{"neighbours", Bandwidth::neighbours},
                                                       {"dimensions", Bandwidth::dimensions}};
    for (const auto& [name, bandwidth] : rules) {
      SCOPED_TRACE(json.at("name").get<std::string>() + ", " + name);
      const Json& expected = json.at(name);
      const Parzen parzen = fit_parzen(axes, columns_from(json.at("observed")), bandwidth);
      EXPECT_TRUE(same(parzen.weight, expected.at("weight").get<Numbers>()));
      for (std::size_t i = 0; i < axes.size(); ++i) expect_kernels(parzen.axes[i], expected.at("kernels").at(i));
      EXPECT_TRUE(
          same(log_density(parzen, columns_from(json.at("points"))), expected.at("log_density").get<Numbers>()));
    }
  }
}

TrialRecord trial_from(const SearchSpace& space, std::int64_t id, const Json& json) {
  TrialRecord trial{.id = {id}};
  for (const auto& spec : space.parameters) {
    if (!json.at("params").contains(spec.name)) continue;
    trial.params.emplace_back(spec.name, value_of(spec, json.at("params").at(spec.name).get<double>()));
  }
  for (const auto& pair : json.at("values"))
    trial.values.emplace_back(pair.at(0).get<std::int64_t>(), pair.at(1).get<double>());
  for (const TrialState state : {TrialState::running, TrialState::completed, TrialState::stopped, TrialState::failed}) {
    if (json.at("state") == to_text(state)) trial.state = state;
  }
  return trial;
}

std::vector<std::int64_t> ids_of(const std::vector<const TrialRecord*>& trials) {
  std::vector<std::int64_t> ids;
  for (const TrialRecord* trial : trials) ids.push_back(trial->id.value);
  return ids;
}

// The groups a sampler would model, by the names of their parameters.
std::vector<std::vector<std::string>> groups_of(const SearchSpace& space, const TrialSplit& split, bool multivariate,
                                                bool group) {
  Groups groups;
  if (!multivariate)
    for (std::size_t i = 0; i < space.parameters.size(); ++i) groups.push_back({i});
  else
    groups = group ? groups_in(space, split.finished) : shared_by_all(space, split.finished);
  std::vector<std::vector<std::string>> names;
  for (const auto& members : groups) {
    names.emplace_back();
    for (const std::size_t i : members) names.back().push_back(space.parameters[i].name);
    std::sort(names.back().begin(), names.back().end());
  }
  std::sort(names.begin(), names.end());
  return names;
}

void expect_acquisition(const SearchSpace& space, const TrialSplit& split, const Json& json, Bandwidth bandwidth) {
  std::vector<std::size_t> members;
  for (const auto& name : json.at("names")) {
    members.push_back(static_cast<std::size_t>(space.find(name.get<std::string>()) - space.parameters.data()));
  }
  const TpeModel model = fit_model(space, members, table_of(space, split.good), table_of(space, split.bad), bandwidth);
  EXPECT_TRUE(same(acquisition(model, columns_from(json.at("points"))), json.at("acquisition").get<Numbers>()))
      << json.at("names");
}

TEST(Optuna4, SplitsGroupsAndAcquisitionAreOptunas) {
  const SearchSpace space = space_from(golden().at("space"));
  for (const auto& json : golden().at("studies")) {
    SCOPED_TRACE(json.at("options").dump());
    std::vector<TrialRecord> trials;
    for (const auto& trial : json.at("trials"))
      trials.push_back(trial_from(space, static_cast<std::int64_t>(trials.size()), trial));
    const auto option = [&](const char* name) { return json.at("options").at(name).get<bool>(); };
    const TrialSplit split = split_like_optuna(trials, option("constant_liar"));
    EXPECT_EQ(ids_of(split.good), json.at("good").get<std::vector<std::int64_t>>());
    EXPECT_EQ(ids_of(split.bad), json.at("bad").get<std::vector<std::int64_t>>());
    std::vector<std::vector<std::string>> expected_groups;
    const Bandwidth bandwidth = option("multivariate") ? Bandwidth::dimensions : Bandwidth::neighbours;
    for (const auto& group : json.at("groups")) {
      expect_acquisition(space, split, group, bandwidth);
      expected_groups.push_back(group.at("names").get<std::vector<std::string>>());
      std::sort(expected_groups.back().begin(), expected_groups.back().end());
    }
    std::sort(expected_groups.begin(), expected_groups.end());
    EXPECT_EQ(groups_of(space, split, option("multivariate"), option("group")), expected_groups);
  }
}

// ------------------------------------------------------------------------------------ numbers written out by hand

// One axis or two, what was observed, and what Optuna 4.9.0 makes of it by each rule; ten digits as written down.
struct Literal {
  const char* name;
  std::vector<ParzenAxis> axes;
  Columns observed;
  std::vector<Numbers> points;       ///< each a number an axis
  Numbers sigma[2], log_density[2];  ///< neighbours, dimensions; sigma of the first axis, the prior's last
};

const double kLn10 = std::log(10.0), kLn2 = std::log(2.0);
const ParzenAxis kUnit{.low = 0, .high = 1}, kRate{.low = 1e-6, .high = 1e-2, .log = true};

std::vector<Literal> literals() {
  const double wide = std::log(128.5) - std::log(0.5);
  return {
      {"three in the unit",
       {kUnit},
       {{.1, .5, .9}},
       {{.3}, {.95}},
       {{.4, .4, .4, 1}, {.2, .2, .2, 1}},
       {{0.0464093731, -0.1397527318}, {0.0069820045, -0.0256825718}}},
      {"rates",
       {kRate},
       {{1e-5, 3e-4, 1e-3}},
       {{1e-4}, {5e-3}},
       {{3.401197382, 3.401197382, 1.842068074, 4 * kLn10}, {1.842068074, 1.842068074, 1.842068074, 4 * kLn10}},
       {{-2.0983182404, -2.2954502199}, {-2.0370301196, -2.4679710759}}},
      {"powers of four",
       {{.low = 1, .high = 128, .step = 1, .log = true}},
       {{4, 16, 64}},
       {{8}, {128}},
       {{2 * kLn2, 2 * kLn2, 2 * kLn2, wide}, {1.109815217, 1.109815217, 1.109815217, wide}},
       {{-3.6035179634, -6.6737076737}, {-3.5893818884, -6.6922773155}}},
      {"two whole numbers",
       {{.low = 1, .high = 10, .step = 1}},
       {{3, 7}},
       {{1}, {5}},
       {{4, 4, 10}, {2.5, 2.5, 10}},
       {{-2.438514448, -2.1631720218}, {-2.5180815459, -2.098227427}}},
      {"steps",
       {{.low = 0, .high = .5, .step = .1}},
       {{.1, .4}},
       {{0}, {.3}},
       {{.3, .3, .6}, {.15, .15, .6}},
       {{-1.902828921, -1.7084804878}, {-1.9659598983, -1.6860349578}}},
      {"three choices",
       {{.choices = 3}},
       {{0, 0, 2}},
       {{0}, {1}, {2}},
       {},
       {{-0.7419373447, -1.6582280766, -1.0986122887}, {-0.7419373447, -1.6582280766, -1.0986122887}}},
      {"one", {kUnit}, {{.2}}, {{.3}}, {{.8, 1}, {1.0 / 3, 1}}, {{0.070275666}, {0.2684008548}}},
      {"none", {kUnit}, {{}}, {{.3}}, {{1}, {1}}, {{0.0209778005}, {0.0209778005}}},
      {"joint", {kUnit, {.choices = 2}}, {{.1, .5, .9}, {0, 0, 1}}, {{.3, 1}}, {}, {{-1.0449775315}, {-1.3537283031}}},
  };
}

TEST(Parzen, KernelsAndDensitiesAreTheNumbersWrittenDown) {
  constexpr Bound kDigits{.absolute = 1e-9, .relative = 1e-9};  // the literals have ten digits
  const Bandwidth rules[] = {Bandwidth::neighbours, Bandwidth::dimensions};
  for (const Literal& row : literals()) {
    for (const std::size_t rule : {0, 1}) {
      SCOPED_TRACE(std::string(row.name) + (rule == 0 ? ", neighbours" : ", dimensions"));
      const Parzen parzen = fit_parzen(row.axes, row.observed, rules[rule]);
      const Numbers& sigma = row.sigma[rule];
      if (!sigma.empty()) {
        EXPECT_TRUE(all_near(std::span(parzen.axes[0].sigma), std::span(sigma), kDigits));
      }
      for (std::size_t p = 0; p < row.points.size(); ++p) {
        Columns point;
        for (const double x : row.points[p]) point.push_back({x});
        EXPECT_TRUE(near(log_density(parzen, point).front(), row.log_density[rule][p], kDigits)) << "point " << p;
      }
    }
  }
}

// --------------------------------------------------------------------------------------------- which trials are good

TrialRecord made(std::int64_t id, TrialState state, std::int64_t step, double value) {
  return {.id = {id}, .state = state, .values = {{step, value}}, .step = step};
}

// Stopped trials: the later stop first, then the lower value; one that never reported comes last.
std::vector<TrialRecord> stopped_trials(std::size_t count) {
  std::vector<TrialRecord> trials{{.id = {0}, .state = TrialState::stopped},
                                  made(1, TrialState::stopped, 3, 0.0),  // best value, early stop
                                  made(2, TrialState::stopped, 5, 0.9),
                                  made(3, TrialState::completed, 9, 7.0),  // complete, though worst by value
                                  made(4, TrialState::stopped, 5, 0.1)};
  while (trials.size() < count)
    trials.push_back(made(static_cast<std::int64_t>(trials.size()), TrialState::stopped, 2, -1.0));
  return trials;
}

TEST(Split, StoppedTrialsRankByStepThenByValueBehindCompletedOnes) {
  const std::vector<std::int64_t> by_count[] = {{3}, {3, 4}, {2, 3, 4}, {1, 2, 3, 4}};
  for (const std::size_t good : {1, 2, 3, 4}) {
    const auto trials = stopped_trials(good * 10);
    EXPECT_EQ(ids_of(split_like_optuna(trials, false).good), by_count[good - 1]) << good;
    EXPECT_EQ(ids_of(split_at_one_step(trials, 1, false).good), by_count[good - 1]) << good;
  }
}

TEST(Split, ATrialWithoutAReportIsTheWorst) {
  std::vector<TrialRecord> trials{{.id = {0}, .state = TrialState::stopped}};
  for (std::int64_t id = 1; id < 11; ++id) trials.push_back(made(id, TrialState::stopped, 1, 1e9));
  EXPECT_EQ(ids_of(split_like_optuna(trials, false).good), (std::vector<std::int64_t>{1, 2}));
}

TEST(Split, FailedAndPendingTrialsAreBadAndDoNotCount) {
  auto trials = stopped_trials(10);
  for (std::int64_t id = 10; id < 15; ++id) trials.push_back({.id = {id}, .state = TrialState::failed});
  trials.push_back({.id = {15}, .state = TrialState::running});
  const TrialSplit split = split_at_one_step(trials, 1, true);
  EXPECT_EQ(ids_of(split.good), std::vector<std::int64_t>{3});
  EXPECT_EQ(split.bad.size(), 15u);
  EXPECT_EQ(split.bad.back()->id.value, 15);
  EXPECT_EQ(split_at_one_step(trials, 1, false).bad.size(), 14u);
  EXPECT_EQ(split_like_optuna(trials, false).bad.size(), 9u);  // Optuna leaves failed ones out
}

// ------------------------------------------------------------------------------------------------- what it proposes

// One trial after the other; half of the square diverges, and the best value is well inside the other half.
double diverging_share(Sampler& sampler, std::vector<TrialRecord>& trials, std::int64_t count) {
  double diverged = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    const auto id = static_cast<std::int64_t>(trials.size());
    TrialRecord trial{.id = {id}, .params = *sampler.suggest({id}, trials), .step = 1};
    const auto x = point_in(trial.params);
    const bool fails = x[0] > 0.5;
    trial.state = fails ? TrialState::failed : TrialState::completed;
    if (!fails) trial.values = {{1, square(x[0] - 0.3) + square(x[1] - 0.5)}};
    diverged += fails ? 1 : 0;
    trials.push_back(trial);
  }
  return diverged / static_cast<double>(count);
}

TEST(Tpe, FewerProposalsDivergeAsFailuresInform) {
  double early = 0, late = 0;
  constexpr std::uint64_t kSeeds = 10;
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    const auto sampler = make_sampler("tpe", {{}, box(2, 0, 1), seed});
    std::vector<TrialRecord> trials;
    early += diverging_share(*sampler, trials, 30) / kSeeds;
    late += diverging_share(*sampler, trials, 30) / kSeeds;
  }
  EXPECT_LT(late, early) << early << " then " << late;
  EXPECT_LT(late, 0.25) << "uniform proposals diverge at a rate of 0.5: at most half of that";
}

std::vector<TrialRecord> completed_trials(const SearchSpace& space, std::int64_t count) {
  std::vector<TrialRecord> trials;
  for (std::int64_t id = 0; id < count; ++id) {
    Random random(5, Purpose::test, static_cast<std::uint64_t>(id));
    TrialRecord trial = made(id, TrialState::completed, 1, 0);
    trial.params = sample_uniform(space, random);
    for (const double x : point_in(trial.params)) trial.values.back().second += square(x - 0.3);
    trials.push_back(trial);
  }
  return trials;
}

// The draws of a proposal depend on its id and the good trials: three pending trials can only change which one is
// taken.
TEST(Tpe, PendingTrialsTurnProposalsAwayUnlessTheLiarIsOff) {
  const SearchSpace space = box(2, 0, 1);
  const auto trials = completed_trials(space, 40);
  const auto liar = make_sampler("tpe", {{}, space, 1});
  const auto honest = make_sampler("tpe", {{{"constant_liar", false}}, space, 1});
  int moved = 0;
  constexpr int kProposals = 20;
  for (std::int64_t id = 100; id < 100 + kProposals; ++id) {
    const Params alone = *liar->suggest({id}, trials);
    auto with_pending = trials;
    for (std::int64_t k = 40; k < 43; ++k) with_pending.push_back({.id = {k}, .params = alone});
    EXPECT_EQ(*honest->suggest({id}, with_pending), alone) << id;
    moved += *liar->suggest({id}, with_pending) == alone ? 0 : 1;
  }
  EXPECT_GT(moved, kProposals / 2) << "three bad trials on the very spot leave it the best for few";
}

std::string refusal(const Params& options) {
  try {
    make_sampler("tpe", {options, box(2, 0, 1), 0});
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

TEST(Tpe, OptionsOutOfRangeAreRefusedByTheirKey) {
  const auto refused = [](const Params& options, const char* why) {
    EXPECT_NE(refusal(options).find(why), std::string::npos) << refusal(options);
  };
  refused({{"mode", std::string("optuna5")}}, "tune.sampler.mode is optuna5; allowed: standard, optuna4");
  refused({{"multivariate", false}, {"group", true}}, "tune.sampler.group needs multivariate: true");
  refused({{"mode", std::string("optuna4")}, {"group", true}}, "tune.sampler.group needs multivariate: true");
  refused({{"startup", std::int64_t{-1}}}, "tune.sampler.startup");
  refused({{"candidates", std::int64_t{0}}}, "tune.sampler.candidates");
  refused({{"constant_liar", std::string("yes")}}, "tune.sampler.constant_liar must be true or false");
  refused({{"gamma", 0.1}}, "unknown option tune.sampler.gamma");
  refused({{"multivariate", false}}, "accepted");  // group follows multivariate
}

}  // namespace
}  // namespace finetune::testing
