// A whole study on one, two and three lanes of the processor: the same decisions, and the same bits of every trial.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <memory>

#include "engine/packed_trainer.h"
#include "engine/parameter_store.h"
#include "engine/study.h"
#include "support/study_log.h"
#include "support/tiny_models.h"
#include "tuners/registry.h"

namespace finetune::testing {
namespace {

constexpr std::int64_t kTrials = 9, kSteps = 18;

struct Outcome {
  StudyResult result;
  std::map<TrialId, std::vector<double>> lines;
};

class Lanes : public ::testing::Test {
 protected:
  Lanes() : base_(tiny_base(tiny_options(), at::kFloat)) {
    train_ = tiny_examples({9, 4, 17, 3, 12, 8, 21, 5, 14, 2, 7, 11, 6}, 37, 3);
    valid_ = tiny_examples({6, 13, 4, 9}, 37, 4);
  }

  // Rates from a grid; asha stops two of three at steps 2 and 6, so lanes empty at different times; copies cross lanes
  // with pbt.
  Outcome run(std::size_t lanes, const std::string& scheduler) const {
    const ProjectionSet all = ProjectionSet::all();
    std::vector<std::unique_ptr<ParameterStore>> stores;
    std::vector<std::unique_ptr<PackedTrainer>> trainers;
    std::vector<Lane*> pointers;
    for (std::size_t lane = 0; lane < lanes; ++lane) {
      const auto slots = static_cast<std::int64_t>((kTrials + 1 + lanes - 1) / lanes);
      stores.push_back(make_lora_store(base_, {.slots = slots, .max_rank = 16, .targets = all}, nullptr));
      trainers.push_back(std::make_unique<PackedTrainer>(
          *stores.back(), train_, valid_, TrainerOptions{.tokens_per_pass = 64, .threads = at::get_num_threads()}));
      pointers.push_back(trainers.back().get());
    }
    const SearchSpace space{{{.name = "learning_rate", .low = 1e-4, .high = 1e-1, .log = true}}};
    const TunerOptions tuner_options{
        .trials = kTrials, .max_steps = kSteps, .default_min_steps = 2, .may_change = [](const std::string&) {
          return true;
        }};
    Tuner tuner(tuner_options, make_sampler("sobol", {{}, space, 0}),
                make_scheduler(scheduler, {{}, space, tuner_options}));
    StudyOptions options;
    options.configure = [](const Params& params) {
      TrainConfig config;
      config.steps = kSteps;
      config.batch_size = 3;
      config.lora.dropout = 0.2;
      config.learning_rate = params.empty() ? 0.01 : as_number(params.front().second);
      return config;
    };
    StudyLog log;
    StudyResult result = Study(std::move(options), tuner, pointers, {&log}).run();
    return {std::move(result), std::move(log.lines)};
  }

  DecoderBase base_;
  std::vector<Example> train_, valid_;
};

TEST_F(Lanes, AnyNumberOfThemGivesTheSameStudyBitForBit) {
  for (const std::string scheduler : {"asha", "pbt", "asha_promotion"}) {
    const Outcome one = run(1, scheduler);
    EXPECT_EQ(one.lines.size(), static_cast<std::size_t>(kTrials) + 1) << "the default run too";
    for (const std::size_t lanes : {2u, 3u}) {
      SCOPED_TRACE(scheduler + ", " + std::to_string(lanes) + " lanes");
      const Outcome many = run(lanes, scheduler);
      EXPECT_EQ(many.lines, one.lines);
      EXPECT_EQ(many.result.best, one.result.best);
      ASSERT_EQ(many.result.trials.size(), one.result.trials.size());
      for (std::size_t i = 0; i < one.result.trials.size(); ++i) {
        EXPECT_EQ(many.result.trials[i].state, one.result.trials[i].state);
        EXPECT_EQ(many.result.trials[i].step, one.result.trials[i].step);
      }
      const auto image = [](const Outcome& outcome) {
        return dynamic_cast<const TorchImage&>(*outcome.result.trials[*outcome.result.best].best_image).slot().params_P;
      };
      EXPECT_TRUE(at::equal(image(many), image(one)));
    }
  }
}

TEST_F(Lanes, AnInterruptEndsARoundBetweenItsPasses) {
  const ProjectionSet all = ProjectionSet::all();
  const auto store = make_lora_store(base_, {.slots = 1, .max_rank = 16, .targets = all}, nullptr);
  int asked = 0;
  PackedTrainer trainer(*store, train_, valid_, {.tokens_per_pass = 16, .interrupted = [&] { return ++asked > 2; }});
  TrainConfig config;
  config.batch_size = 13;  // several passes of 16 tokens
  trainer.admit({0}, config);
  const at::Tensor before = store->params_SP().clone();
  const TrialId id{0};
  EXPECT_THROW(trainer.step(std::span(&id, 1)), Interrupted);
  EXPECT_EQ(asked, 3) << "asked before every pass";
  EXPECT_TRUE(at::equal(store->params_SP(), before)) << "a step that was cut short changed the weights";
}

TEST_F(Lanes, AFullLaneTakesNobody) {
  const ProjectionSet all = ProjectionSet::all();
  const auto store = make_lora_store(base_, {.slots = 1, .max_rank = 16, .targets = all}, nullptr);
  PackedTrainer trainer(*store, train_, valid_, {});
  trainer.admit({0}, TrainConfig());
  EXPECT_ANY_THROW(trainer.admit({1}, TrainConfig()));
}

}  // namespace
}  // namespace finetune::testing
