// A value is equal to itself however it is written: conditions, choices, steps, options, in every sampler.
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/number.h"
#include "tuners/options.h"
#include "tuners/registry.h"
#include "tuners/schedulers/population.h"
#include "tuners/space/checked_value.h"

namespace finetune::testing {
namespace {

SearchSpace space(Value wanted_share, Value wanted_size) {
  SearchSpace space;
  space.parameters = {
      {.name = "share", .low = 0, .high = 0.5, .step = 0.1},
      {.name = "size", .choices = {std::int64_t{4}, 8.0, std::string("8")}},
      {.name = "third", .choices = {true, false}, .when = {{"share", {wanted_share}}}},
      {.name = "eight", .low = 0, .high = 1, .step = 0.5, .when = {{"size", {wanted_size}}}},
  };
  return space;
}

std::string refusal(SearchSpace space) {
  try {
    settle_conditions(space);
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

TEST(Notations, AStepOfTheSpaceIsWhatPeopleWrite) {
  const ParameterSpec share = space(0.3, 8.0).parameters[0];
  const std::vector<std::string> texts{"0", "0.1", "0.2", "0.3", "0.4", "0.5"};
  for (std::int64_t k = 0; k < share.count(); ++k) {
    const auto at = static_cast<std::size_t>(k);
    EXPECT_EQ(to_text(nth_value(share, k)), texts[at]);
    EXPECT_EQ(to_text(value_at(share, position_of(share, nth_value(share, k)))), texts[at]);
    EXPECT_EQ(to_text(clip(share, 0.1 * static_cast<double>(k) + 1e-9)), texts[at]);
    EXPECT_EQ(to_text(checked_value("share", share, 0.1 * static_cast<double>(k))), texts[at]);
    EXPECT_EQ(to_text(checked_text("share", share, texts[at] + (k == 0 ? ".0" : "0"))), texts[at]);
  }
}

TEST(Notations, AConditionHoldsInEveryNotation) {
  for (const Value& share : std::vector<Value>{0.3, 0.30000000000000004, 3e-1}) {
    for (const Value& size : std::vector<Value>{8.0, std::int64_t{8}}) {
      SearchSpace settled = space(share, size);
      settle_conditions(settled);
      const Params third{{"share", nth_value(settled.parameters[0], 3)}, {"size", 8.0}};
      const Params other{{"share", nth_value(settled.parameters[0], 2)}, {"size", std::string("8")}};
      EXPECT_TRUE(is_active(settled.parameters[2], third));
      EXPECT_TRUE(is_active(settled.parameters[3], third));
      EXPECT_FALSE(is_active(settled.parameters[2], other));
      EXPECT_FALSE(is_active(settled.parameters[3], other)) << "8 is not the text 8";
    }
  }
  EXPECT_TRUE(is_active(space(0.3, std::int64_t{8}).parameters[3], {{"size", 8.0}})) << "also unsettled";
}

TEST(Notations, AConditionThatNeverHoldsIsRefusedByName) {
  EXPECT_EQ(refusal(space(0.36, 8.0)), "search.third.when.share is 0.36, between two steps; the nearest is 0.4");
  EXPECT_EQ(refusal(space(0.6, 8.0)), "search.third.when.share is 0.6; allowed: 0 to 0.5");
  EXPECT_EQ(refusal(space(std::string("0.3"), 8.0)), "search.third.when.share must be a number, not the text \"0.3\"");
  EXPECT_EQ(refusal(space(0.3, std::string("4"))), "search.eight.when.size is the text \"4\"; allowed: 4, 8, 8");
  EXPECT_EQ(refusal(space(0.3, std::string("8"))), "accepted");
}

TEST(Notations, ChoicesAreFoundAndKeepTheirOwn) {
  const ParameterSpec size = space(0.3, 8.0).parameters[1];
  EXPECT_EQ(choice_index(size, std::int64_t{8}), 1u);
  EXPECT_EQ(choice_index(size, std::string("8")), 2u);
  EXPECT_EQ(choice_index(size, 4.0), 0u);
  EXPECT_FALSE(choice_index(size, std::string("4")));
  EXPECT_EQ(number_of(size, 4.0), 0);
  EXPECT_EQ(checked_value("size", size, 4.0), Value(std::int64_t{4}));
  EXPECT_EQ(checked_value("size", size, std::int64_t{8}), Value(8.0));
  EXPECT_EQ(checked_text("size", size, "4.0"), Value(std::int64_t{4}));
  EXPECT_EQ(checked_text("size", size, "4e0"), Value(std::int64_t{4}));
  const ParameterSpec ordinal = make_ordinal("n", {std::int64_t{1}, 2.0, std::int64_t{3}});
  EXPECT_EQ(number_of(ordinal, std::int64_t{2}), 1);
  EXPECT_EQ(perturb(ordinal, std::int64_t{2}, 1.2), Value(std::int64_t{3}));
}

// Every value that a sampler proposes for a stepped parameter is the shortest text of its step.
TEST(Notations, EverySamplerProposesShortestSteps) {
  SearchSpace steps;
  for (const auto& [low, step] : std::initializer_list<std::pair<double, double>>{{0, 0.1}, {0.05, 0.15}, {1e-5, 3e-6}})
    steps.parameters.push_back({.name = number_to_text(step), .low = low, .high = low + 9 * step, .step = step});
  for (const std::string& name : sampler_names()) {
    const auto sampler = make_sampler(name, {{}, steps, 3});
    std::vector<TrialRecord> trials;
    for (std::int64_t id = 0; id < 20; ++id) {
      const auto params = sampler->suggest({id}, trials);
      ASSERT_TRUE(params) << name;
      for (std::size_t i = 0; i < steps.parameters.size(); ++i) {
        const double value = as_number((*params)[i].second);
        EXPECT_LE(number_to_text(value).size(), 7u) << name << ": " << number_to_text(value);
      }
    }
  }
}

TEST(Notations, AWholeNumberOfAnOptionMayBeWrittenWithAPoint) {
  const std::vector<OptionSpec> specs{whole_option("n", "a count", 1, 1, 5000)};
  const auto whole = [&](Value value) { return OptionReader("p", specs, {{"n", value}}).whole("n"); };
  EXPECT_EQ(whole(std::int64_t{1000}), 1000);
  EXPECT_EQ(whole(1e3), 1000);
  for (const Value& bad : std::vector<Value>{0.5, 1e300, std::string("7"), true}) EXPECT_THROW(whole(bad), Error);
}

}  // namespace
}  // namespace finetune::testing
