// Key `start`: what the first trial is made of.
#include <gtest/gtest.h>

#include "core/error.h"
#include "host/search_space.h"
#include "host/start_trial.h"

namespace finetune::testing {
namespace {

RunConfig config_of(std::vector<SearchParameter> search) {
  RunConfig config;
  config.search = std::move(search);
  return config;
}

std::optional<Params> start(const RunConfig& config, bool asktell = false) {
  return start_trial(config, search_space(config), asktell);
}

TEST(StartTrial, StartsThenTheConfigurationsOwnValuesThenTheMiddle) {
  const auto whole = [](std::int64_t x) { return Value(x); };
  const RunConfig config =
      config_of({{.name = "train.learning_rate", .low = 1e-5, .high = 1e-1, .log = true, .start = 1e-2},
                 {.name = "train.batch_size", .choices = {whole(8), whole(16), whole(32)}},
                 {.name = "train.lora.rank", .choices = {whole(2), whole(4), whole(8)}, .ordinal = true},
                 {.name = "train.weight_decay", .low = 0.5, .high = 1}});
  EXPECT_EQ(*start(config), (Params{{"train.learning_rate", 1e-2},
                                    {"train.batch_size", whole(16)},  // the default
                                    {"train.lora.rank", whole(4)},    // 16 is not among them: the middle
                                    {"train.weight_decay", 0.75}}));  // nor is 0 in the range
  EXPECT_EQ(*find_param(*start(config, true), "train.batch_size"), whole(8)) << "asktell has no defaults";
}

TEST(StartTrial, WithoutAnyThereIsNone) {
  EXPECT_EQ(start(config_of({{.name = "train.learning_rate", .low = 1e-5, .high = 1e-1}})), std::nullopt);
}

TEST(StartTrial, ConditionsAreKept) {
  const auto space = [](const Value& kind, const std::optional<Value>& depth) {
    return config_of({{.name = "kind", .choices = {std::string("a"), std::string("b")}, .start = kind},
                      {.name = "depth", .low = 1, .high = 9, .start = depth, .when = {{"kind", {std::string("b")}}}}});
  };
  EXPECT_EQ(*start(space(std::string("a"), std::nullopt), true), (Params{{"kind", std::string("a")}}));
  EXPECT_EQ(*start(space(std::string("b"), 3.0), true), (Params{{"kind", std::string("b")}, {"depth", 3.0}}));
  try {
    start(space(std::string("a"), 3.0), true);
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "search.depth.start has no effect: the parameter is switched off by the start of kind");
  }
}

TEST(StartTrial, AValueThatTheParameterDoesNotHaveIsRefusedByItsKey) {
  try {
    start(config_of({{.name = "train.learning_rate", .low = 1e-5, .high = 1e-1, .start = 1.0}}));
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "search.train.learning_rate.start is 1; allowed: 1e-05 to 0.1");
  }
}

TEST(StartValues, AreTheGuessesAlone) {
  const RunConfig config =
      config_of({{.name = "train.learning_rate", .low = 1e-5, .high = 1e-1, .log = true, .start = 0.01},
                 {.name = "train.batch_size", .choices = {std::int64_t{8}, std::int64_t{16}}},
                 {.name = "train.weight_decay", .low = 0, .high = 1, .start = std::int64_t{1}}});
  EXPECT_EQ(start_values(config, search_space(config)),
            (Params{{"train.learning_rate", 0.01}, {"train.weight_decay", 1.0}}));
}

}  // namespace
}  // namespace finetune::testing
