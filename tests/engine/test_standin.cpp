// The engine on devices that are not there (tests/support/standin): what it would do wrong on a GPU without anybody
// seeing it on a processor.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <deque>
#include <map>

#include "engine/packed_trainer.h"
#include "support/device_trials.h"
#include "support/standin/standin.h"
#include "support/tiny_models.h"

namespace finetune::testing {
namespace {

using Waits = std::map<std::string, std::int64_t>;
using Curves = std::map<std::size_t, std::vector<StepResult>>;

constexpr std::int64_t kSteps = 2;
const ops::KernelTable kComposition = ops::KernelTable::composition(), kWritten = ops::KernelTable::written();

DecoderBase quantized(DecoderBase base, kernels::Code code) {
  for (BlockTensors<at::Tensor>& block : base.blocks) {
    PackedBlock& packed = base.packed.emplace_back();
    for (const Stack stack : kStacks) {
      at::Tensor& weight = std::get<0>(stacked_tensors(block, stack));
      for (const Projection p : modules_of(base.options, stack)) {
        const auto [first, count] = stacked_rows(base.options, p);
        packed_stack(packed, stack).push_back(quantize(weight.narrow(0, first, count), {.code = code}, ""));
      }
      weight = at::Tensor();
    }
  }
  return base;
}

class OnStandins : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    standin::install(2);
    at::set_num_threads(1);  // tensors are small, and waking threads costs more than they do
  }
  OnStandins() : base_(tiny_base(tiny_options(), at::kFloat)) {
    train_ = tiny_examples({9, 4, 17, 3, 12, 8, 21, 5, 14, 2, 7, 11, 6}, 37, 3);
    valid_ = tiny_examples({6, 13, 4, 9}, 37, 4);
  }
  void TearDown() override {
    EXPECT_EQ(standin::faults(), std::vector<std::string>());
    standin::clear();
  }

  Curves train(const DecoderBase& base, TrainerOptions options, bool full = false) {
    StoreOptions wanted{.slots = 3, .max_rank = 32};
    wanted.targets = ProjectionSet::all();
    const auto bank = full ? make_full_store(base, wanted) : make_lora_store(base, wanted, nullptr);
    options.tokens_per_pass = 64;
    PackedTrainer trainer(*bank, train_, valid_, options);
    std::vector<TrialId> ids;
    for (std::size_t i = 0; i < 3; ++i) {
      ids.push_back({static_cast<std::int64_t>(i)});
      TrainConfig trial = device_trial(i);
      trial.learning_rate *= rate_;
      if (full) trial.method = TrainMethod::full;
      trainer.admit(ids.back(), trial);
    }
    Curves curves;
    waits_.clear();
    for (std::int64_t step = 0; step < kSteps; ++step) {
      standin::clear();
      trainer.submit(ids);
      for (const auto& [what, count] : standin::waits()) waits_[what] += count;
      std::size_t i = 0;
      for (const StepResult& result : trainer.collect()) curves[i++].push_back(result);
    }
    return curves;
  }

  double rate_ = 1;  // times those of the trials
  DecoderBase base_;
  std::vector<Example> train_, valid_;
  std::map<std::string, std::int64_t> waits_;  // of the host, while steps were submitted
};

// Both compose ATen's operations of the processor; products are cut otherwise there.
void expect_near(const Curves& actual, const Curves& expected, double bound, double norms = 10) {
  for (const auto& [trial, steps] : expected) {
    for (std::size_t s = 0; s < steps.size(); ++s) {
      const StepResult& got = actual.at(trial)[s];
      EXPECT_NEAR(got.train_loss, steps[s].train_loss, bound * steps[s].train_loss) << trial << " step " << s + 1;
      EXPECT_NEAR(got.gradient_norm, steps[s].gradient_norm, norms * bound * steps[s].gradient_norm) << trial;
    }
  }
}

// Kernels of our own are emulated, thread by thread. What was found: a pack with dropout did not say so, so by default
// it ran on the composition, whose masks are made on the host and copied to the device one by one, 60 waits a pass.
TEST_F(OnStandins, StepsAreThoseOfTheProcessorAndNothingWaitsInOne) {
  for (const bool full : {false, true}) {
    const Curves expected = train(base_, {.kernels = kComposition}, full);
    const DecoderBase moved = on(base_, standin::device(1));
    for (const auto& [written, graphs] : {std::pair(false, false), {false, true}, {true, true}}) {
      SCOPED_TRACE(std::string(full ? "full" : "lora") + (graphs ? ", graphs" : "") + (written ? ", written" : ""));
      const ops::KernelTable& kernels = written ? kWritten : kComposition;
      expect_near(train(moved, {.ahead = graphs, .graphs = graphs, .kernels = kernels}, full), expected, 1e-5);
      EXPECT_EQ(waits_, Waits());
    }
  }
}

// With the kernels of tensor cores. Each of a dozen roundings of a block is off by up to 2^-9 at random: 0.7 % of the
// residual stream of three blocks; the loss averages over dozens of rows, gradients pass through twice as many
// roundings and are not averaged.
TEST_F(OnStandins, KernelsOfBfloat16StayWithinItsRoundings) {
  const DecoderBase rounded = tiny_base(tiny_options(), at::kBFloat16);
  const Curves expected = train(rounded, {.kernels = kComposition});
  expect_near(train(on(rounded, standin::device(0)), {.graphs = true, .kernels = kWritten}), expected, 0.01, 6);
  EXPECT_EQ(waits_, Waits());
}

// The numbers of a layer are written on a stream of their own while the one before it is computed with.
TEST_F(OnStandins, AQuantisedBaseIsDequantisedAheadOfItsLayers) {
  for (const kernels::Code code : {kernels::Code::nf4, kernels::Code::int8}) {
    const DecoderBase base = quantized(base_, code), moved = on(base, standin::device(0));
    const Curves expected = train(base, {.kernels = kComposition});
    for (const bool graphs : {false, true}) {
      expect_near(train(moved, {.ahead = graphs, .graphs = graphs, .kernels = kComposition}), expected, 1e-5);
      EXPECT_EQ(waits_, Waits());
    }
  }
}

// A captured pass is replayed after others, so it has to contain all that it needs.
TEST_F(OnStandins, APassFindsNothingInTheRing) {
  const DecoderBase base = on(quantized(base_, kernels::Code::nf4), standin::device(0));
  DecoderWorkspace workspace;
  const auto operations = [&](std::int64_t layer) {
    standin::clear();
    workspace.ring().take(base.packed, layer, std::nullopt, [](Stack, int, std::int64_t rows, std::int64_t columns) {
      return at::empty({rows, columns}, at::TensorOptions().device(standin::device(0)));
    });
    return standin::counts().operations;
  };
  workspace.ring().begin();
  EXPECT_GT(operations(1), 0);
  EXPECT_EQ(operations(1), 0) << "the backward pass begins where the forward pass ended";
  workspace.ring().begin();
  EXPECT_GT(operations(1), 0);
}

// It waits for each of its figures, once, however many passes there are.
TEST_F(OnStandins, AnEvaluationIsThatOfTheProcessor) {
  const ProjectionSet all = ProjectionSet::all();
  const auto evaluate = [&](const DecoderBase& base) {
    const auto bank = make_lora_store(base, {.slots = 2, .max_rank = 16, .targets = all}, nullptr);
    PackedTrainer trainer(*bank, train_, valid_, {.tokens_per_pass = 64, .kernels = kComposition});
    const std::vector<TrialId> ids{{0}, {1}};
    for (const TrialId id : ids) trainer.admit(id, device_trial(static_cast<std::size_t>(id.value)));
    trainer.step(ids);
    standin::clear();
    return trainer.evaluate(ids, {});
  };
  const auto expected = evaluate(base_), got = evaluate(on(base_, standin::device(0)));
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_NEAR(got[i].loss, expected[i].loss, 1e-5 * expected[i].loss);
    EXPECT_EQ(got[i].token_accuracy, expected[i].token_accuracy);
  }
  EXPECT_LE(standin::counts().waits, 3);
}

class Images : public OnStandins {
 protected:
  Images() {
    for (int index : {0, 1}) {
      bases_.push_back(on(base_, standin::device(index)));
      const ProjectionSet all = ProjectionSet::all();
      stores_.push_back(make_lora_store(bases_.back(), {.slots = 3, .max_rank = 32, .targets = all}, nullptr));
    }
    for (auto& store : stores_)
      trainers_.push_back(std::make_unique<PackedTrainer>(
          *store, train_, valid_, TrainerOptions{.tokens_per_pass = 64, .kernels = kComposition}));
  }
  static const TorchImage& of(const std::shared_ptr<const TrialImage>& image) {
    return dynamic_cast<const TorchImage&>(*image);
  }
  // The loss of the next step of a trial.
  static double next_loss(PackedTrainer& trainer, TrialId id) { return trainer.step({{id}}).front().train_loss; }

  std::deque<DecoderBase> bases_;  // stores view them
  std::vector<std::unique_ptr<ParameterStore>> stores_;
  std::vector<std::unique_ptr<PackedTrainer>> trainers_;
};

// What was found: each copy of a trial was three blocking copies to pageable memory and a number that was waited for.
TEST_F(Images, ACopyOfATrialStaysOnItsDeviceAndNothingWaitsForIt) {
  PackedTrainer& trainer = *trainers_[0];
  trainer.admit({0}, device_trial(0));
  trainer.step({{TrialId{0}}});
  standin::clear();
  const auto image = trainer.capture({0});
  EXPECT_EQ(standin::waits(), Waits());
  EXPECT_EQ(of(image).slot().params_P.device(), standin::device(0));
  const double loss = next_loss(trainer, {0});
  trainer.release({0});
  standin::clear();
  trainer.restore({0}, device_trial(0), *image);
  EXPECT_EQ(standin::waits(), Waits());
  EXPECT_EQ(next_loss(trainer, {0}), loss);
  // Somebody reads it: from then on it is the host's.
  const ImageParts parts = image->parts();
  EXPECT_EQ(parts.values.at("optimizer_steps"), 1);
  EXPECT_TRUE(of(image).slot().params_P.is_cpu());
  EXPECT_EQ(parts.arrays.front().second.data(), of(image).slot().params_P.const_data_ptr<float>());
  trainer.release({0});
  trainer.restore({0}, device_trial(0), *image);
  EXPECT_EQ(next_loss(trainer, {0}), loss);
}

// What was found: a trial that moved went through the host both ways.
TEST_F(Images, ATrialMovesFromDeviceToDevice) {
  trainers_[0]->admit({0}, device_trial(0));
  trainers_[0]->step({{TrialId{0}}});
  standin::clear();
  const auto image = trainers_[0]->capture({0});
  trainers_[1]->restore({0}, device_trial(0), *image);
  EXPECT_EQ(standin::waits(), Waits());
  EXPECT_EQ(standin::counts().between, 4);  // parameters, two moments, steps
  EXPECT_EQ(next_loss(*trainers_[1], {0}), next_loss(*trainers_[0], {0}));
}

TEST_F(Images, TheyLeaveADeviceWhoseMemoryEnds) {
  PackedTrainer& trainer = *trainers_[0];
  trainer.admit({0}, device_trial(0));
  trainer.step({{TrialId{0}}});
  const auto image = trainer.capture({0});
  const at::Tensor values = of(image).slot().params_P.cpu();
  standin::fail_allocation(1);
  standin::clear();
  trainer.submit({{TrialId{0}}});
  EXPECT_EQ(standin::waits(), Waits()) << "copies to the host go beside the step";
  EXPECT_EQ(trainer.tokens_per_pass(), 64) << "and passes stay as they are";
  trainer.collect();
  EXPECT_TRUE(of(image).slot().params_P.is_cpu());
  EXPECT_TRUE(at::equal(of(image).slot().params_P, values));
}

}  // namespace
}  // namespace finetune::testing
