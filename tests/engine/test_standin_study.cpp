// A whole study on one and on two devices that are not there: the same decisions, and the same bits of every trial. And
// steps that lose an allocation, whichever it is.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <deque>
#include <map>

#include "engine/packed_trainer.h"
#include "engine/study.h"
#include "support/device_trials.h"
#include "support/standin/standin.h"
#include "support/study_log.h"
#include "support/tiny_models.h"
#include "tuners/registry.h"

namespace finetune::testing {
namespace {

const ops::KernelTable kComposition = ops::KernelTable::composition();
constexpr std::int64_t kTrials = 9, kSteps = 18;

class StudyOnStandins : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    standin::install(2);
    at::set_num_threads(1);
  }
  StudyOnStandins() {
    DecoderOptions options = tiny_options();
    options.layers = 1;
    base_ = tiny_base(options, at::kFloat);
    train_ = tiny_examples({9, 4, 17, 3, 12, 8, 21, 5, 14, 2, 7, 11, 6}, 37, 3);
    valid_ = tiny_examples({6, 13, 4, 9}, 37, 4);
  }
  void TearDown() override {
    EXPECT_EQ(standin::faults(), std::vector<std::string>());
    standin::fail_allocation(0);
    standin::clear();
  }

  static TrainConfig config(double rate) {
    TrainConfig config;
    config.steps = kSteps;
    config.batch_size = 3;
    config.learning_rate = rate;
    return config;
  }

  std::map<TrialId, std::vector<double>> run(int devices, const std::string& scheduler) {
    const ProjectionSet all = ProjectionSet::all();
    std::deque<DecoderBase> bases;
    std::vector<std::unique_ptr<ParameterStore>> stores;
    std::vector<std::unique_ptr<PackedTrainer>> trainers;
    std::vector<Lane*> lanes;
    for (int index = 0; index < devices; ++index) {
      bases.push_back(on(base_, standin::device(index)));
      stores.push_back(make_lora_store(
          bases.back(), {.slots = (kTrials + devices) / devices, .max_rank = 16, .targets = all}, nullptr));
      trainers.push_back(std::make_unique<PackedTrainer>(
          *stores.back(), train_, valid_,
          TrainerOptions{.tokens_per_pass = 64, .ahead = true, .graphs = true, .kernels = kComposition}));
      lanes.push_back(trainers.back().get());
    }
    const SearchSpace space{{{.name = "learning_rate", .low = 1e-4, .high = 1e-1, .log = true}}};
    const TunerOptions tuner_options{
        .trials = kTrials, .max_steps = kSteps, .default_min_steps = 2, .may_change = [](const std::string&) {
          return true;
        }};
    Tuner tuner(tuner_options, make_sampler("sobol", {{}, space, 0}),
                make_scheduler(scheduler, {{}, space, tuner_options}));
    StudyOptions options;
    options.lag = 1;
    options.ahead = 8;  // of asha and asha_promotion
    options.configure = [](const Params& params) {
      return config(params.empty() ? 0.01 : as_number(params.front().second));
    };
    StudyLog log;
    Study(std::move(options), tuner, lanes, {&log}).run();
    return log.lines;
  }

  DecoderBase base_;
  std::vector<Example> train_, valid_;
};

// Rates from a grid; lanes empty at different times, trials and copies of them go from one device to the other.
TEST_F(StudyOnStandins, TwoDevicesDecideAsOneDoesBitForBit) {
  for (const std::string scheduler : {"asha", "pbt", "asha_promotion"}) {
    SCOPED_TRACE(scheduler);
    const auto one = run(1, scheduler);
    EXPECT_EQ(one.size(), static_cast<std::size_t>(kTrials) + 1);
    standin::clear();
    EXPECT_EQ(run(2, scheduler), one);
    if (scheduler == "pbt") {
      EXPECT_GT(standin::counts().between, 0);
    }
  }
}

// Two trials, with a copy of one on the device. Passes may be begun again in halves: sums of another order.
TEST_F(StudyOnStandins, AnyAllocationOfAStepMayFail) {
  const DecoderBase base = on(base_, standin::device(0));
  const auto losses = [&](std::int64_t failing) {
    const ProjectionSet all = ProjectionSet::all();
    const auto store = make_lora_store(base, {.slots = 2, .max_rank = 16, .targets = all}, nullptr);
    PackedTrainer trainer(*store, train_, valid_, {.tokens_per_pass = 32, .kernels = kComposition});
    const std::vector<TrialId> ids{{0}, {1}};
    for (const TrialId id : ids) trainer.admit(id, config(1e-2 * static_cast<double>(id.value + 1)));
    const auto image = trainer.capture({0});
    standin::clear();
    standin::fail_allocation(failing);
    auto results = trainer.step(ids);
    const std::int64_t allocations = standin::counts().allocations;
    standin::fail_allocation(0);
    for (const StepResult& result : trainer.step(ids)) results.push_back(result);
    return std::pair(results, allocations);
  };
  const auto [whole, allocations] = losses(0);
  EXPECT_GT(allocations, 500);
  for (std::int64_t failing = 1; failing <= allocations; failing += 23) {  // a prime: no layer's pattern
    SCOPED_TRACE(failing);
    const auto [cut, ignored] = losses(failing);
    for (std::size_t i = 0; i < whole.size(); ++i) {
      EXPECT_EQ(cut[i].failure, "");
      EXPECT_NEAR(cut[i].train_loss, whole[i].train_loss, 1e-5 * whole[i].train_loss);
      EXPECT_NEAR(cut[i].gradient_norm, whole[i].gradient_norm, 1e-4 * whole[i].gradient_norm);
    }
  }
}

}  // namespace
}  // namespace finetune::testing
