// Trials listed by the user: what is refused, and how a list and a sampler make up a study together.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "core/error.h"
#include "tuners/registry.h"
#include "tuners/samplers/enqueued.h"

namespace finetune::testing {
namespace {

SearchSpace space() {
  SearchSpace space;
  space.parameters = {
      {.name = "train.learning_rate", .low = 1e-5, .high = 1e-2, .log = true},
      {.name = "rank", .low = 4, .high = 64, .integer = true, .step = 4},
      {.name = "share", .low = 0, .high = 1, .step = 0.1},
      {.name = "kind", .choices = {std::string("a"), std::string("b")}},
      {.name = "only_b", .choices = {std::int64_t{8}, std::int64_t{16}}, .when = {{"kind", {std::string("b")}}}}};
  return space;
}

std::string refusal(const Params& listed) {
  try {
    make_sampler("random", {{}, space(), 0, {{{"kind", std::string("a")}}, listed}});
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::bad_input);
    return error.what();
  }
  return "accepted";
}

TEST(Enqueued, WhatTheSpaceDoesNotHoldIsRefusedByItsKey) {
  EXPECT_EQ(refusal({{"train.learning_rate", 0.5}}),
            "tune.enqueue[1].train.learning_rate is 0.5; allowed: 1e-05 to 0.01");
  EXPECT_EQ(refusal({{"train.learning_rate", std::string("high")}}),
            "tune.enqueue[1].train.learning_rate must be a number, not high");
  EXPECT_EQ(refusal({{"rank", std::int64_t{9}}}), "tune.enqueue[1].rank is 9, between two steps; the nearest is 8");
  EXPECT_EQ(refusal({{"rank", 8.5}}), "tune.enqueue[1].rank is 8.5, between two steps; the nearest is 8");
  EXPECT_EQ(refusal({{"kind", std::string("c")}}), "tune.enqueue[1].kind is c; allowed: a, b");
  EXPECT_EQ(refusal({{"rank", std::int64_t{8}}, {"rank", std::int64_t{8}}}), "tune.enqueue[1].rank is listed twice");
  EXPECT_EQ(refusal({{"only_b", std::int64_t{8}}}),
            "tune.enqueue[1].only_b is used only where kind is b; list that too");
  EXPECT_EQ(refusal({{"only_b", std::int64_t{8}}, {"kind", std::string("a")}}),
            "tune.enqueue[1].only_b is used only where kind is b; here it is a");
  EXPECT_NE(refusal({{"rnak", std::int64_t{8}}}).find("tune.enqueue[1].rnak is not searched; searched: "),
            std::string::npos);
  EXPECT_NE(refusal({{"rnak", std::int64_t{8}}}).find("did you mean rank"), std::string::npos);
}

TEST(Enqueued, ValuesTakeTheirParametersType) {
  const auto checked = checked_enqueue(space(), {{{"share", 0.30000000000000004}, {"rank", 8.0}}});
  EXPECT_EQ(checked[0], (Params{{"rank", std::int64_t{8}}, {"share", nth_value(space().parameters[2], 3)}}));
}

// Sobol, because its points are not the uniform draws that complete what a proposal lacks.
TEST(Enqueued, ListedTrialsComeFirstAndTheSamplerGoesOnAsItWould) {
  const Params whole{
      {"train.learning_rate", 1e-3}, {"rank", std::int64_t{8}}, {"share", 0.5}, {"kind", std::string("a")}};
  const auto plain = make_sampler("sobol", {{}, space(), 5});
  const auto sampler = make_sampler("sobol", {{}, space(), 5, {whole, {{"rank", std::int64_t{64}}}}});
  EXPECT_EQ(sampler->suggest({0}, {}), whole);
  Params completed = *plain->suggest({1}, {});
  set_param(completed, "rank", std::int64_t{64});
  EXPECT_EQ(sampler->suggest({1}, {}), completed);
  EXPECT_EQ(sampler->suggest({2}, {}), plain->suggest({2}, {}));
}

TEST(Enqueued, AListedChoiceSwitchesConditionalParametersOnAndOff) {
  for (std::int64_t id = 0; id < 16; ++id) {
    for (const std::string kind : {"a", "b"}) {
      const std::vector<Params> list(16, {{"kind", kind}});
      const auto params = make_sampler("random", {{}, space(), 5, list})->suggest({id}, {});
      EXPECT_EQ(*find_param(*params, "kind"), Value(kind));
      EXPECT_EQ(find_param(*params, "only_b") != nullptr, kind == "b");
    }
  }
}

// Two listed trials use up no cell of a grid, whether whole or not.
TEST(Enqueued, AGridStillGivesEveryCell) {
  SearchSpace cells;
  cells.parameters = {{.name = "x", .low = 1, .high = 3, .integer = true},
                      {.name = "y", .low = 1, .high = 2, .integer = true}};
  const auto sampler = make_sampler(
      "grid", {{}, cells, 0, {{{"x", std::int64_t{2}}, {"y", std::int64_t{2}}}, {{"x", std::int64_t{3}}}}});
  EXPECT_EQ(*find_param(*sampler->suggest({1}, {}), "x"), Value(std::int64_t{3}));
  std::set<std::string> seen;
  for (std::int64_t id = 2; id < 8; ++id) seen.insert(to_json(*sampler->suggest({id}, {})).dump());
  EXPECT_EQ(seen.size(), 6u);
  EXPECT_EQ(sampler->suggest({8}, {}), std::nullopt);
}

}  // namespace
}  // namespace finetune::testing
