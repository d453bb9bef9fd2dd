// The isolation contract on CPU: a trial's numbers are the same bits whoever trains beside it.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "engine/packed_trainer.h"
#include "engine/parameter_store.h"
#include "models/checkpoint.h"
#include "models/families/family.h"
#include "support/goldens.h"
#include "support/tiny_models.h"

namespace finetune::testing {
namespace {

// Six trials that differ in everything that may differ.
std::vector<TrainConfig> unlike_configs() {
  std::vector<TrainConfig> configs(6);
  for (std::size_t i = 0; i < configs.size(); ++i) {
    TrainConfig& c = configs[i];
    c.steps = 20;
    c.learning_rate = 1e-3 * static_cast<double>(i + 1);
    c.batch_size = 1 + static_cast<std::int64_t>(i) * 2;
    c.seed = static_cast<std::int64_t>(i);
    c.weight_decay = i % 2 ? 0.1 : 0.0;
    c.lora.rank = std::vector<std::int64_t>{1, 4, 8, 16, 17, 40}[i];
    c.lora.alpha = 8;
    c.lora.dropout = i == 2 || i == 4 ? 0.3 : 0.0;
    c.lora.rslora = i == 3;
  }
  configs[1].lora.targets = {"attention"};
  configs[4].lora.targets = {"down_proj", "q_proj"};
  configs[5].schedule = RateSchedule::cosine;
  configs[0].neftune = configs[4].neftune = 5;
  configs[3].lora.rate_ratio = 4;
  return configs;
}

struct Outcome {
  std::vector<StepResult> steps;
  EvalResult evaluation;
  at::Tensor params, first, second;
};

void expect_same(const Outcome& a, const Outcome& b) {
  ASSERT_EQ(a.steps.size(), b.steps.size());
  for (std::size_t i = 0; i < a.steps.size(); ++i) {
    EXPECT_EQ(a.steps[i].train_loss, b.steps[i].train_loss) << "step " << i + 1;
    EXPECT_EQ(a.steps[i].gradient_norm, b.steps[i].gradient_norm) << "step " << i + 1;
    EXPECT_EQ(a.steps[i].tokens, b.steps[i].tokens);
  }
  EXPECT_EQ(a.evaluation.loss, b.evaluation.loss);
  EXPECT_EQ(a.evaluation.token_accuracy, b.evaluation.token_accuracy);
}

// On a base in float32 and in bfloat16, whose products round.
class Isolation : public ::testing::TestWithParam<at::ScalarType> {
 protected:
  Isolation() : base_(tiny_base(tiny_options(), GetParam())) {
    widen_vectors(base_);
    train_ = tiny_examples({9, 4, 17, 3, 12, 8, 21, 5, 14, 2, 7, 11, 6}, 37, 3);
    valid_ = tiny_examples({6, 13, 4, 9}, 37, 4);
  }

  std::unique_ptr<ParameterStore> store(std::int64_t slots, std::int64_t rank = 48) const {
    const ProjectionSet all = projections_of(base_.options);
    StoreOptions options{.slots = slots, .max_rank = rank, .targets = all, .magnitudes = kinds_};
    options.saved = {.embed_tokens = kinds_, .lm_head = kinds_};
    options.scales = kinds_;
    if (kinds_) options.principal = std::make_shared<const PrincipalParts>(principal_parts(base_, all, 16));
    return make_lora_store(base_, options, nullptr);
  }

  // Trains the trials named side by side; slots are taken in the order of `who`.
  std::map<std::size_t, Outcome> train(const std::vector<std::size_t>& who, std::int64_t tokens_per_pass = 64,
                                       std::int64_t rank = 48) const {
    auto configs = unlike_configs();
    if (base_.options.fused) configs[4].lora.targets = {"down_proj", "qkv_proj"};
    if (kinds_) {
      configs[1].lora.dora = configs[5].lora.dora = true;
      configs[0].lora.init = configs[2].lora.init = LoraInit::pissa;
      configs[2].lora.dropout = 0;
      configs[1].lora.modules_to_save = {"embed_tokens", "lm_head"};
      configs[3].lora.modules_to_save = {"lm_head"};
      configs[4].lora.modules_to_save = {"embed_tokens"};
      configs[3].lora.rank_pattern = configs[5].lora.rank_pattern = {{"layers.0.*", 3}};
      configs[5].lora.alpha_pattern = {{"o_proj", 1.5}};
    }
    const auto bank = store(static_cast<std::int64_t>(who.size()), rank);
    PackedTrainer trainer(*bank, train_, valid_, {.tokens_per_pass = tokens_per_pass});
    std::vector<TrialId> ids;
    std::map<std::size_t, Outcome> outcomes;
    for (const auto i : who) {
      trainer.admit({static_cast<std::int64_t>(i)}, configs[i]);
      ids.push_back({static_cast<std::int64_t>(i)});
    }
    for (std::int64_t step = 0; step < steps_; ++step) {
      const auto results = trainer.step(ids);
      for (std::size_t k = 0; k < who.size(); ++k) outcomes[who[k]].steps.push_back(results[k]);
    }
    const auto evaluations = trainer.evaluate(ids, {});
    for (std::size_t k = 0; k < who.size(); ++k) outcomes[who[k]].evaluation = evaluations[k];
    return outcomes;
  }

  std::int64_t steps_ = 6;
  bool kinds_ = false;
  DecoderBase base_;
  std::vector<Example> train_, valid_;
};

TEST_P(Isolation, APackOfSixEqualsSixSoloRuns) {
  const auto packed = train({0, 1, 2, 3, 4, 5});
  for (std::size_t i = 0; i < 6; ++i) {
    SCOPED_TRACE("trial " + std::to_string(i));
    expect_same(packed.at(i), train({i}).at(i));
  }
}

// Gates, caps, norms, scales and angles of every family.
TEST_P(Isolation, OfEveryFamilyAPackEqualsSoloRuns) {
  steps_ = 2;  // the second is of a model that has learned
  for (const std::string& family : family_names()) {
    SCOPED_TRACE(family);
    base_ = make_base(load_checkpoint(golden_path("models") / family, GetParam()), at::kCPU);
    const auto packed = train({0, 1, 2, 3, 4, 5});
    for (const std::size_t i : {1u, 4u}) {
      SCOPED_TRACE("trial " + std::to_string(i));
      expect_same(packed.at(i), train({i}).at(i));
    }
  }
}

// Trials with magnitudes, whole modules and ranks by module, that began as the principal part, and plain, in one pack.
TEST_P(Isolation, KindsOfAdaptersSideBySide) {
  kinds_ = true;
  const auto packed = train({0, 1, 2, 3, 4, 5}), backward = train({5, 4, 3, 2, 1, 0});
  for (std::size_t i = 0; i < 6; ++i) {
    SCOPED_TRACE("trial " + std::to_string(i));
    expect_same(packed.at(i), train({i}).at(i));
    expect_same(packed.at(i), backward.at(i));
  }
}

TEST_P(Isolation, SlotOrderChangesNothing) {
  const auto forward = train({0, 1, 2, 3, 4, 5}), backward = train({5, 3, 1, 4, 2, 0});
  for (std::size_t i = 0; i < 6; ++i) expect_same(forward.at(i), backward.at(i));
}

TEST_P(Isolation, TheBanksRankChangesNothing) {
  for (const std::size_t i : {0u, 2u, 3u}) expect_same(train({i}, 64, 48).at(i), train({i}, 64, 16).at(i));
}

TEST_P(Isolation, ThreadsChangeNothing) {
  const int before = at::get_num_threads();
  at::set_num_threads(1);
  const auto one = train({0, 2, 4});
  at::set_num_threads(2);
  const auto two = train({0, 2, 4});
  at::set_num_threads(before);
  for (const std::size_t i : {0u, 2u, 4u}) expect_same(one.at(i), two.at(i));
}

TEST_P(Isolation, ADivergingNeighbourChangesNothing) {
  const auto configs = unlike_configs();
  const auto bank = store(3);
  PackedTrainer trainer(*bank, train_, valid_, {.tokens_per_pass = 64});
  TrainConfig wild = configs[3];
  wild.learning_rate = 1e30;
  wild.warmup_ratio = 0;
  trainer.admit({9}, wild);
  trainer.admit({2}, configs[2]);
  const std::vector<TrialId> both{{9}, {2}};
  std::vector<StepResult> healthy;
  bool failed = false;
  for (std::int64_t step = 0; step < steps_; ++step) {
    const auto results = trainer.step(both);
    failed = failed || !results[0].finite;
    healthy.push_back(results[1]);
  }
  EXPECT_TRUE(failed) << "the wild trial was meant to diverge";
  Outcome outcome{.steps = healthy, .evaluation = trainer.evaluate(std::span(both).subspan(1), {}).front()};
  expect_same(outcome, train({2}).at(2));
}

TEST_P(Isolation, NeighboursArrivingAndLeavingChangeNothing) {
  const auto configs = unlike_configs();
  const auto bank = store(3);
  PackedTrainer trainer(*bank, train_, valid_, {.tokens_per_pass = 64});
  trainer.admit({1}, configs[1]);
  trainer.admit({4}, configs[4]);
  Outcome outcome;
  for (std::int64_t step = 0; step < steps_; ++step) {
    if (step == 2) trainer.release({1});
    if (step == 3) trainer.admit({5}, configs[5]);
    std::vector<TrialId> ids{{4}};
    if (step < 2) ids.insert(ids.begin(), {1});
    if (step >= 3) ids.push_back({5});
    for (const auto& result : trainer.step(ids)) {
      if (result.trial == TrialId{4}) outcome.steps.push_back(result);
    }
  }
  const TrialId own{4};
  outcome.evaluation = trainer.evaluate(std::span(&own, 1), {}).front();
  expect_same(outcome, train({4}).at(4));
}

TEST_P(Isolation, PauseAndResumeInAnotherSlotIsBitEqual) {
  const auto configs = unlike_configs();
  const auto bank = store(2);
  PackedTrainer trainer(*bank, train_, valid_, {.tokens_per_pass = 64});
  const TrialId own{2};
  trainer.admit(own, configs[2]);
  Outcome outcome;
  for (std::int64_t step = 0; step < steps_; ++step) {
    if (step == 3) {
      const auto image = trainer.capture(own);
      trainer.release(own);
      trainer.admit({7}, configs[5]);  // takes the slot
      trainer.restore(own, configs[2], *image);
    }
    outcome.steps.push_back(trainer.step(std::span(&own, 1)).front());
  }
  outcome.evaluation = trainer.evaluate(std::span(&own, 1), {}).front();
  expect_same(outcome, train({2}).at(2));
}

TEST_P(Isolation, ACloneGoesOnLikeItsDonor) {
  const auto configs = unlike_configs();
  const auto bank = store(2);
  PackedTrainer trainer(*bank, train_, valid_, {.tokens_per_pass = 64});
  TrainConfig other = configs[3];
  other.learning_rate = 0.5;
  trainer.admit({0}, configs[3]);
  trainer.admit({1}, other);
  const std::vector<TrialId> ids{{0}, {1}};
  for (int step = 0; step < 3; ++step) trainer.step(ids);
  trainer.copy({0}, {1}, configs[3]);
  for (int step = 0; step < 3; ++step) {
    const auto results = trainer.step(ids);
    EXPECT_EQ(results[0].train_loss, results[1].train_loss);
    EXPECT_EQ(results[0].gradient_norm, results[1].gradient_norm);
  }
}

TEST_P(Isolation, PassesOfAnySizeGiveTheSameLossUpToRounding) {
  const auto small = train({5}, 16).at(5), large = train({5}, 1000).at(5);
  // Gradients are summed in another order: fp32 rounding of sums of some hundred terms, amplified over six steps. Where
  // operands are rounded, one that lies in the middle may go to the other side, which is 2^-8 of it.
  const double share = GetParam() == at::kFloat ? 2e-5 : std::ldexp(1.0, -8);
  for (std::size_t i = 0; i < small.steps.size(); ++i)
    EXPECT_NEAR(small.steps[i].train_loss, large.steps[i].train_loss, share * std::fabs(large.steps[i].train_loss));
}

TEST_P(Isolation, DropoutIsDrawnAnewEachStepAndOffInEvaluation) {
  auto with = unlike_configs()[2], without = with;
  without.lora.dropout = 0;
  const auto bank = store(2);
  PackedTrainer trainer(*bank, train_, valid_, {.tokens_per_pass = 64});
  trainer.admit({0}, with);
  trainer.admit({1}, without);
  const std::vector<TrialId> ids{{0}, {1}};
  for (int step = 0; step < 4; ++step) trainer.step(ids);
  const auto results = trainer.step(ids);
  EXPECT_NE(results[0].train_loss, results[1].train_loss);
  const auto once = trainer.evaluate(ids, {}), again = trainer.evaluate(ids, {});
  EXPECT_EQ(once[0].loss, again[0].loss);
}

TEST_P(Isolation, FullTrialsTakeTurnsAndDoNotMix) {
  TrainConfig a, b;
  a.method = b.method = TrainMethod::full;
  a.steps = b.steps = 10;
  a.batch_size = b.batch_size = 3;
  a.learning_rate = 1e-3;
  b.learning_rate = 1e-2;
  const auto run = [&](const std::vector<TrainConfig>& configs) {
    const auto rows = make_full_store(base_, {.slots = static_cast<std::int64_t>(configs.size())});
    PackedTrainer trainer(*rows, train_, valid_, {.tokens_per_pass = 64});
    std::vector<TrialId> ids;
    for (const auto& config : configs) {
      ids.push_back({static_cast<std::int64_t>(ids.size())});
      trainer.admit(ids.back(), config);
    }
    std::vector<double> losses(configs.size());
    for (int step = 0; step < 4; ++step) {
      const auto results = trainer.step(ids);
      for (std::size_t i = 0; i < results.size(); ++i) losses[i] = results[i].train_loss;
    }
    return losses;
  };
  EXPECT_EQ(run({a, b})[1], run({b})[0]);
}

INSTANTIATE_TEST_SUITE_P(Dtypes, Isolation, ::testing::Values(at::kFloat, at::kBFloat16),
                         [](const auto& info) { return std::string(c10::toString(info.param)); });

}  // namespace
}  // namespace finetune::testing
