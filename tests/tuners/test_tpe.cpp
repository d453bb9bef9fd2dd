// TPE against Optuna 4.9.0 (tests/golden/tpe.py), and what its own rules promise.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "core/error.h"
#include "support/compare.h"
#include "support/goldens.h"
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

}  // namespace
}  // namespace finetune::testing
