// Ordinals: choices in an order. Everything that walks the space must see the index as a number and give back the
// choice.
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "tuners/registry.h"
#include "tuners/samplers/cmaes/coordinates.h"
#include "tuners/samplers/gp/encoding.h"
#include "tuners/samplers/tpe/model.h"
#include "tuners/schedulers/population.h"
#include "tuners/space/checked_value.h"
#include "tuners/space/distribution_json.h"

namespace finetune::testing {
namespace {

const std::vector<Value> kSizes{std::int64_t{4}, std::int64_t{8}, std::int64_t{64}, std::int64_t{1024},
                                std::string("all")};

ParameterSpec sizes() {
  return make_ordinal("size", kSizes);
}

TEST(Ordinal, IsARangeOfIndicesThatShowsItsChoices) {
  const ParameterSpec spec = sizes();
  EXPECT_FALSE(spec.categorical());
  EXPECT_EQ(spec.count(), 5);
  for (std::int64_t k = 0; k < 5; ++k) {
    const Value& choice = kSizes[static_cast<std::size_t>(k)];
    EXPECT_EQ(nth_value(spec, k), choice);
    EXPECT_EQ(number_of(spec, choice), static_cast<double>(k));
    EXPECT_EQ(clip(spec, static_cast<double>(k) + 0.4), choice);
    EXPECT_DOUBLE_EQ(position_of(spec, choice), (static_cast<double>(k) + 0.5) / 5);
    EXPECT_EQ(value_at(spec, position_of(spec, choice)), choice);
    EXPECT_DOUBLE_EQ(position_at(spec, static_cast<double>(k)), position_of(spec, choice));
  }
  EXPECT_EQ(clip(spec, 99), kSizes[4]);
  EXPECT_TRUE(std::isnan(number_of(spec, std::int64_t{5})));
}

TEST(Ordinal, IsWrittenAsOptunasCategorical) {
  EXPECT_EQ(distribution_json(sizes()),
            R"({"name": "CategoricalDistribution", "attributes": {"choices": [4, 8, 64, 1024, "all"]}})");
  EXPECT_EQ(distribution_value(sizes(), std::int64_t{64}), 2);
}

TEST(Ordinal, APopulationMovesToTheNeighbour) {
  EXPECT_EQ(perturb(sizes(), std::int64_t{64}, 0.8), Value(std::int64_t{8}));
  EXPECT_EQ(perturb(sizes(), std::int64_t{64}, 1.2), Value(std::int64_t{1024}));
  EXPECT_EQ(perturb(sizes(), std::string("all"), 1.2), Value(std::string("all")));
}

TEST(Ordinal, TheSamplersModelsSeeAWholeNumber) {
  const ParzenAxis axis = axis_of(sizes());
  EXPECT_EQ(axis.choices, 0);
  EXPECT_EQ(axis.low, 0);
  EXPECT_EQ(axis.high, 4);
  EXPECT_EQ(axis.step, 1);
  EXPECT_EQ(value_of(sizes(), 3.0), Value(std::int64_t{1024}));
  const gp::Encoding encoding(SearchSpace{{sizes()}});
  EXPECT_FALSE(encoding.categorical()[0]);
  EXPECT_EQ(encoding.to_latent({{"size", std::int64_t{64}}})(0), 2);
  EXPECT_DOUBLE_EQ(encoding.to_model(encoding.to_latent({{"size", std::int64_t{64}}}))(0), 0.5);
  const cmaes::Coordinates coordinates(SearchSpace{{sizes()}});
  ASSERT_EQ(coordinates.size(), 1);
  EXPECT_TRUE(coordinates.discrete(0));
  EXPECT_NEAR(coordinates.borders(0, 0.5).first, 0.4, 1e-12);
  EXPECT_NEAR(coordinates.borders(0, 0.5).second, 0.6, 1e-12);
}

TEST(Ordinal, WhatAPersonWritesMustBeAChoice) {
  EXPECT_EQ(checked_value("k", sizes(), std::int64_t{64}), Value(std::int64_t{64}));
  EXPECT_EQ(checked_text("k", sizes(), "1024"), Value(std::int64_t{1024}));
  EXPECT_THROW(checked_value("k", sizes(), std::int64_t{2}), std::exception);
}

// What the order buys: after twelve of twenty values were seen, the best at 15 and 17, a model that knows the order
// proposes something new beside them; one that does not takes all the unseen for equals.
TEST(Ordinal, AModelThatKnowsTheOrderSearchesBesideTheBest) {
  std::vector<Value> choices;
  for (std::int64_t k = 0; k < 20; ++k) choices.emplace_back("value " + std::to_string(k));
  const std::set<std::int64_t> seen{0, 1, 3, 4, 6, 7, 9, 10, 12, 13, 15, 17};
  const auto new_and_near = [&](const std::string& sampler, const ParameterSpec& spec) {
    std::vector<TrialRecord> trials;
    for (const std::int64_t k : seen) {
      const auto id = static_cast<std::int64_t>(trials.size());
      const double loss = std::abs(static_cast<double>(k) - 16);
      trials.push_back({.id = {id},
                        .params = {{"x", choices[static_cast<std::size_t>(k)]}},
                        .state = TrialState::completed,
                        .values = {{1, loss}},
                        .step = 1});
    }
    int count = 0;
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      const auto made = make_sampler(sampler, {{}, SearchSpace{{spec}}, seed});
      const auto k = static_cast<std::int64_t>(number_of(spec, made->suggest({12}, trials)->front().second));
      if (std::abs(k - 16) <= 3 && !seen.contains(k)) ++count;
    }
    return count;
  };
  const ParameterSpec ordered = make_ordinal("x", choices), unordered{.name = "x", .choices = choices};
  // Four of twenty values are such: by chance 12 or more of 20 seeds find one with a probability of 1e-4.
  for (const std::string sampler : {"gp", "tpe"}) {
    EXPECT_GE(new_and_near(sampler, ordered), 12) << sampler;
    EXPECT_LT(new_and_near(sampler, unordered), 12) << sampler;
  }
}

}  // namespace
}  // namespace finetune::testing
