// In tune nobody is judged before a trial's weights have moved: the first step of a warm-up has rate 0.
#include <gtest/gtest.h>

#include "host/tuner_setup.h"
#include "tuners/registry.h"

namespace finetune::testing {
namespace {

RunConfig config_of(const std::string& scheduler, std::int64_t steps, double warmup_ratio, Params options = {}) {
  RunConfig config;
  config.search = {{.name = "train.learning_rate", .low = 1e-5, .high = 1e-2, .log = true}};
  config.train.steps = steps;
  config.train.warmup_ratio = warmup_ratio;
  config.tune.sampler = TunerPart{"random", {}};
  if (scheduler == "threshold") options.emplace_back("upper", 1.0);
  if (scheduler == "replay") options.emplace_back("schedule", std::string("1 train.learning_rate=1e-3"));
  config.tune.scheduler = TunerPart{scheduler, options};
  return config;
}

// The first step at which the tuner wants an evaluation.
std::int64_t first_milestone(const RunConfig& config) {
  const auto tuner = make_tuner(config, std::nullopt);
  std::vector<Action> actions;
  tuner->ask(1, actions);
  for (std::int64_t step = 1; step <= config.train.steps; ++step) {
    if (tuner->is_milestone({0}, step)) return step;
  }
  return 0;
}

TEST(FirstLook, NoSchedulerLooksAtTheFirstStepOfAWarmUp) {
  for (const std::string& scheduler : scheduler_names()) {
    for (const std::int64_t steps : {10, 15, 40}) {
      EXPECT_GE(first_milestone(config_of(scheduler, steps, 0.03)), 2) << scheduler << " of " << steps;
    }
  }
  EXPECT_EQ(first_milestone(config_of("asha", 10, 0)), 1) << "without a warm-up the first step moves weights";
  EXPECT_EQ(first_milestone(config_of("asha", 10, 0.03)), 2);
  EXPECT_EQ(first_milestone(config_of("asha", 40, 0.03)), 4) << "a tenth of the steps is behind it";
  EXPECT_EQ(first_milestone(config_of("asha", 1, 0.03)), 1) << "the full budget is evaluated in any case";
}

TEST(FirstLook, ASearchedWarmUpCountsByTheLongestThereMayBe) {
  RunConfig config = config_of("asha", 10, 0);
  config.search.push_back({.name = "train.warmup_ratio", .low = 0, .high = 0.1, .step = 0.05});
  EXPECT_EQ(first_milestone(config), 2);
  config.search.back() = {.name = "train.warmup_ratio", .choices = {0.0}};
  EXPECT_EQ(first_milestone(config), 1);
}

TEST(FirstLook, AFirstRungThatIsMovedIsSaid) {
  const Params first{{"min_steps", std::int64_t{1}}};
  const auto said = describe_first_look(config_of("asha", 40, 0.03, first));
  ASSERT_TRUE(said.has_value());
  EXPECT_NE(said->find("the first rung is step 2, not 1"), std::string::npos) << *said;
  EXPECT_EQ(first_milestone(config_of("asha", 40, 0.03, first)), 2);
  EXPECT_EQ(describe_first_look(config_of("asha", 40, 0.03)), std::nullopt) << "nobody asked for an earlier one";
  EXPECT_EQ(describe_first_look(config_of("asha", 40, 0, first)), std::nullopt);
  EXPECT_EQ(describe_first_look(config_of("none", 40, 0.03)), std::nullopt);
}

}  // namespace
}  // namespace finetune::testing
