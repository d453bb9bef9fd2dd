// Importance against Optuna 4.9.0 (golden/importance.json, made by golden/importance.py) and against functions whose
// decomposition of variance is known.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>

#include "core/random.h"
#include "report/importance/fanova.h"
#include "report/importance/ped_anova.h"
#include "support/places.h"

namespace finetune::testing {
namespace {

using Json = nlohmann::ordered_json;

Json golden_studies() {
  return Json::parse(std::ifstream(source_dir() + "/tests/golden/importance.json")).at("studies");
}

Axis axis_from(const Json& json) {
  return {.choices = json.value("choices", std::size_t{0}),
          .low = json.value("low", 0.0),
          .high = json.value("high", 0.0),
          .log = json.value("log", false),
          .integer = json.value("integer", false),
          .step = json.value("step", 0.0)};
}

// Of the axes `names`, the trials that have all of them.
PlainPoints observations_of(const Json& study, const std::vector<std::string>& names) {
  PlainPoints made;
  for (const auto& name : names) made.axes.push_back(axis_from(study["axes"][name]));
  for (const auto& trial : study["trials"]) {
    std::vector<double> point;
    for (const auto& name : names) {
      if (trial["params"].contains(name)) point.push_back(trial["params"][name].get<double>());
    }
    if (point.size() != names.size()) continue;
    made.points.push_back(point);
    made.losses.push_back(trial["value"].get<double>() * (study["maximize"].get<bool>() ? -1 : 1));
  }
  return made;
}

std::vector<std::string> names_in_all(const Json& study) {
  std::vector<std::string> names;
  for (const auto& axis : study["axes"].items()) {
    const auto has = [&](const Json& trial) { return trial["params"].contains(axis.key()); };
    if (std::ranges::all_of(study["trials"], has)) names.push_back(axis.key());
  }
  return names;
}

TEST(PedAnova, IsOptunas) {
  for (const Json& study : golden_studies()) {
    SCOPED_TRACE(study["name"].get<std::string>());
    const auto names = names_in_all(study);
    const auto found = ped_anova(observations_of(study, names));
    std::size_t held = 0;
    for (const auto& [name, expected] : study["ped_anova"].items()) {
      SCOPED_TRACE(name);
      const auto at = std::ranges::find(names, name) - names.begin();
      const double value = at < std::ssize(names) ? found[static_cast<std::size_t>(at)]
                                                  : ped_anova(observations_of(study, {name})).front();
      EXPECT_NEAR(value, expected.get<double>(), 1e-10);
      ++held;
    }
    EXPECT_EQ(held, study["axes"].size());
  }
}

TEST(PedAnova, TwoTrialsSayNothing) {
  const PlainPoints two{.axes = {Axis{}}, .points = {{0.0}, {1.0}}, .losses = {0.0, 1.0}};
  EXPECT_EQ(ped_anova(two), std::vector<double>{0.0});
}

// Two forests that differ in their random numbers alone differ by their spread over seeds; ours is held to three times
// the half range of Optuna's ten, and no less than 0.02 for what the order of tied splits does.
TEST(Fanova, IsOptunasUpToTheForestsChance) {
  int held = 0;
  for (const Json& study : golden_studies()) {
    if (!study.contains("fanova")) continue;
    SCOPED_TRACE(study["name"].get<std::string>());
    const auto names = names_in_all(study);
    const Fanova found = fanova(observations_of(study, names));
    for (std::size_t axis = 0; axis < names.size(); ++axis) {
      const auto seeds = study["fanova"][names[axis]].get<std::vector<double>>();
      const double mean = std::accumulate(seeds.begin(), seeds.end(), 0.0) / static_cast<double>(seeds.size());
      const auto [low, high] = std::ranges::minmax(seeds);
      EXPECT_NEAR(found.shares[axis], mean, std::max(0.02, 1.5 * (high - low))) << names[axis];
      ++held;
    }
  }
  EXPECT_EQ(held, 6);
}

// Points spread evenly (a Kronecker sequence), so that a forest of many has little left to guess.
PlainPoints spread(std::vector<Axis> axes, std::size_t count,
                   const std::function<double(const std::vector<double>&)>& f) {
  const std::vector<double> irrational{0.8566748838545029, 0.7338918566271260, 0.6287067210378087, 0.5385972572236101};
  PlainPoints made{.axes = std::move(axes), .points = {}, .losses = {}};
  for (std::size_t i = 0; i < count; ++i) {
    std::vector<double> point;
    for (std::size_t k = 0; k < made.axes.size(); ++k) {
      const Axis& axis = made.axes[k];
      double u = static_cast<double>(i + 1) * irrational[k];
      u -= std::floor(u);
      if (axis.choices > 0)
        point.push_back(std::floor(u * static_cast<double>(axis.choices)));
      else if (axis.integer)
        point.push_back(axis.low + std::floor(u * (axis.high - axis.low + 1)));
      else if (axis.log)
        point.push_back(axis.low * std::pow(axis.high / axis.low, u));
      else
        point.push_back(axis.low + u * (axis.high - axis.low));
    }
    made.losses.push_back(f(point));
    made.points.push_back(std::move(point));
  }
  return made;
}

// A tree on every corner of a table of choices is the table itself, whatever is drawn: shares are exact.
TEST(Fanova, OfATableIsItsDecomposition) {
  PlainPoints table{.axes = {Axis{.choices = 2}, Axis{.choices = 3}}, .points = {}, .losses = {}};
  const double values[2][3] = {{0, 1, 5}, {2, 3, 1}};
  for (int repeated = 0; repeated < 40; ++repeated) {  // no draw leaves a corner out
    for (int a = 0; a < 2; ++a) {
      for (int b = 0; b < 3; ++b) {
        table.points.push_back({static_cast<double>(a), static_cast<double>(b)});
        table.losses.push_back(values[a][b]);
      }
    }
  }
  const Fanova found = fanova(table);
  // Mean 2; rows have 2 and 2, columns 1, 2 and 3; the squares around the mean sum to 4 + 1 + 9 + 0 + 1 + 1 = 16.
  const double variance = 16.0 / 6, of_columns = 2.0 / 3;
  EXPECT_NEAR(found.shares[0], 0, 1e-12);
  EXPECT_NEAR(found.shares[1], of_columns / variance, 1e-12);
  ASSERT_EQ(found.interactions.size(), 1u);
  EXPECT_NEAR(found.interactions[0].share, 1 - of_columns / variance, 1e-12);
}

// f = x + 2 y over [0, 1] squared has the variances 1/12 and 4/12; a third axis has none.
TEST(Fanova, OfASumIsItsTerms) {
  const auto made = spread({Axis{}, Axis{}, Axis{}}, 600, [](const auto& p) { return p[0] + 2 * p[1]; });
  const Fanova found = fanova(made);
  EXPECT_NEAR(found.shares[0], 0.2, 0.02);
  EXPECT_NEAR(found.shares[1], 0.8, 0.02);
  EXPECT_NEAR(found.shares[2], 0.0, 0.01);
  for (const Interaction& pair : found.interactions) EXPECT_LT(pair.share, 0.02);
}

// f = x y over [-1, 1] squared is an interaction alone. Greedy trees see it late, so some of it is left to chance.
TEST(Fanova, FindsWhatTwoDoTogether) {
  const Axis both{.low = -1, .high = 1};
  const auto made = spread({both, both, both}, 600, [](const auto& p) { return p[0] * p[1]; });
  const Fanova found = fanova(made);
  EXPECT_EQ(found.interactions[0].first, 0u);
  EXPECT_EQ(found.interactions[0].second, 1u);
  EXPECT_GT(found.interactions[0].share, 0.85);
  EXPECT_LT(found.shares[0] + found.shares[1], 0.1);
  EXPECT_LT(found.interactions[1].share, 0.05);
}

// Over logarithms, whole numbers and choices each value has the same share of its axis.
TEST(Fanova, WeighsValuesAsTheSpaceDoes) {
  const std::vector<Axis> axes{Axis{.low = 1e-5, .high = 1e-1, .log = true}, Axis{.low = 1, .high = 3, .integer = true},
                               Axis{.choices = 4}};
  const auto made = spread(axes, 800, [](const std::vector<double>& p) {
    return std::log10(p[0]) / 4 + (p[1] == 1 ? 1.0 : 0.0) + (p[2] == 3 ? 1.0 : 0.0);
  });
  const double rate = 1.0 / 12, number = 2.0 / 9, choice = 3.0 / 16, all = rate + number + choice;
  const Fanova found = fanova(made);
  EXPECT_NEAR(found.shares[0], rate / all, 0.02);
  EXPECT_NEAR(found.shares[1], number / all, 0.02);
  EXPECT_NEAR(found.shares[2], choice / all, 0.02);
}

// Pairs of leaves are what takes time: a tree of 10,000 trials does not have 6,000 leaves, and says the same.
TEST(Fanova, OfManyTrialsTreesStaySmall) {
  EXPECT_EQ(forest_options(1000).fewest_to_split, ForestOptions{}.fewest_to_split);
  const std::size_t count = 10'000;
  const auto made = spread({Axis{}, Axis{}, Axis{}}, count, [](const auto& p) { return p[0] + 2 * p[1]; });
  ForestOptions options = forest_options(count);
  options.trees = 4;
  for (const TreeLeaves& leaves : grow_forest(made, options)) {
    EXPECT_GT(leaves.size(), 300u);
    EXPECT_LT(leaves.size(), 2000u);
  }
  const Fanova found = fanova(made, 6, options);
  EXPECT_NEAR(found.shares[0], 0.2, 0.02);
  EXPECT_NEAR(found.shares[1], 0.8, 0.02);
  EXPECT_LT(found.interactions[0].share, 0.02);
}

TEST(Fanova, DoesNotDependOnTheRun) {
  const auto made = spread({Axis{}, Axis{.choices = 3}}, 50, [](const auto& p) { return p[0] + p[1]; });
  const Fanova first = fanova(made), second = fanova(made);
  EXPECT_EQ(first.shares, second.shares);
  EXPECT_EQ(first.interactions[0].share, second.interactions[0].share);
}

TEST(Fanova, WithoutAnyDifferenceAllSharesAreZero) {
  const auto flat = spread({Axis{}, Axis{}}, 20, [](const auto&) { return 1.0; });
  EXPECT_EQ(fanova(flat).shares, (std::vector<double>{0, 0}));
  const auto single = spread({Axis{.low = 2, .high = 2}, Axis{.choices = 1}}, 20, [](const auto& p) { return p[0]; });
  EXPECT_EQ(fanova(single).shares, (std::vector<double>{0, 0}));
  EXPECT_EQ(fanova({}).shares, std::vector<double>{});
}

}  // namespace
}  // namespace finetune::testing
