// The graph path on the CPU, where a stand-in replays a capture by computing it again (kernels/torch/graph.h): the same
// shapes, arenas and counters as on a GPU. And results that are collected one round late.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <map>

#include "engine/packed_trainer.h"
#include "support/tiny_models.h"

namespace finetune::testing {
namespace {

TrainConfig config(std::size_t i) {
  TrainConfig c;
  c.steps = 50;
  c.learning_rate = 1e-3 * static_cast<double>(i + 1);
  c.batch_size = 2 + static_cast<std::int64_t>(i % 3);
  c.seed = static_cast<std::int64_t>(i);
  c.lora.rank = std::vector<std::int64_t>{4, 16, 24, 8}[i % 4];
  c.lora.dropout = i == 1 ? 0.2 : 0.0;
  if (i == 2) c.lora.targets = {"attention"};
  return c;
}

class Graphs : public ::testing::Test {
 protected:
  Graphs() : base_(tiny_base(tiny_options(), at::kFloat)) {
    train_ = tiny_examples({9, 4, 17, 3, 12, 8, 21, 5, 14, 2, 7, 11, 6}, 37, 3);
    valid_ = tiny_examples({6, 13, 4, 9}, 37, 4);
  }
  std::unique_ptr<ParameterStore> store(std::int64_t slots) const {
    const ProjectionSet all = ProjectionSet::all();
    return make_lora_store(base_, {.slots = slots, .max_rank = 32, .targets = all}, nullptr);
  }
  DecoderBase base_;
  std::vector<Example> train_, valid_;
};

void expect_same(const StepResult& a, const StepResult& b) {
  EXPECT_EQ(a.trial, b.trial);
  EXPECT_EQ(a.step, b.step);
  EXPECT_EQ(a.tokens, b.tokens);
  EXPECT_EQ(a.train_loss, b.train_loss);
  EXPECT_EQ(a.gradient_norm, b.gradient_norm);
  EXPECT_EQ(a.learning_rate, b.learning_rate);
}

TEST_F(Graphs, CapturedPassesGiveTheSameBits) {
  const auto run = [&](bool graphs, bool ahead) {
    const auto bank = store(4);
    PackedTrainer trainer(*bank, train_, valid_, {.tokens_per_pass = 64, .ahead = ahead, .graphs = graphs});
    std::vector<TrialId> ids;
    std::vector<StepResult> results;
    for (std::size_t i = 0; i < 3; ++i) {
      ids.push_back({static_cast<std::int64_t>(i)});
      trainer.admit(ids.back(), config(i));
    }
    for (int step = 0; step < 8; ++step) {
      for (const auto& result : trainer.step(ids)) results.push_back(result);
      if (step == 4) trainer.evaluate(ids, {});
    }
    EXPECT_EQ(trainer.prepared_plans_used(), ahead ? 7 : 0);
    EXPECT_EQ(trainer.captures() > 0, graphs);
    return std::pair(results, bank->params_SP().clone());
  };
  const auto plain = run(false, false);
  for (const auto& [graphs, ahead] : {std::pair(true, false), std::pair(false, true), std::pair(true, true)}) {
    const auto other = run(graphs, ahead);
    for (std::size_t i = 0; i < plain.first.size(); ++i) expect_same(other.first[i], plain.first[i]);
    EXPECT_TRUE(at::equal(other.second, plain.second));
  }
}

TEST_F(Graphs, FullFineTuningIsCapturedPerModel) {
  TrainConfig full = config(0);
  full.method = TrainMethod::full;
  const auto run = [&](bool graphs) {
    const auto rows = make_full_store(base_, {.slots = 2});
    PackedTrainer trainer(*rows, train_, valid_, {.tokens_per_pass = 64, .graphs = graphs});
    const std::vector<TrialId> ids{{0}, {1}};
    for (const TrialId id : ids) trainer.admit(id, full);
    std::vector<StepResult> results;
    for (int step = 0; step < 4; ++step) {
      for (const auto& result : trainer.step(ids)) results.push_back(result);
    }
    return results;
  };
  const auto plain = run(false), captured = run(true);
  for (std::size_t i = 0; i < plain.size(); ++i) expect_same(captured[i], plain[i]);
}

// What a tuner does reaches the device through memory that a capture reads: once the shapes have occurred, nothing is
// captured again.
TEST_F(Graphs, NothingATunerDoesNeedsARecapture) {
  const std::vector<Example> same(13, tiny_examples({12}, 37, 3).front());  // every batch of a size has one shape
  const auto bank = store(4);
  PackedTrainer trainer(*bank, same, valid_, {.tokens_per_pass = 256, .graphs = true});
  const auto of_size = [](std::size_t i) {
    TrainConfig c = config(i);
    c.batch_size = 3;
    return c;
  };
  std::vector<TrialId> ids;
  for (std::int64_t i = 0; i < 4; ++i) {  // one trial, two, three, four
    trainer.admit({i}, of_size(static_cast<std::size_t>(i)));
    ids.push_back({i});
    trainer.step(ids);
  }
  const std::int64_t captures = trainer.captures();
  EXPECT_GT(captures, 1);
  EXPECT_LE(captures, 4);
  const auto step_all = [&] {
    trainer.step(ids);
    const std::vector<TrialId> backwards(ids.rbegin(), ids.rend());  // who comes first is no part of a capture
    trainer.step(backwards);
    return trainer.captures();
  };

  TrainConfig faster = of_size(1);
  faster.learning_rate *= 1.2;
  faster.weight_decay = 0.1;
  faster.lora.dropout = 0.5;
  faster.lora.alpha = 3;
  trainer.change({1}, faster);
  EXPECT_EQ(step_all(), captures) << "new learning rate, decay, dropout and alpha";
  trainer.copy({0}, {3}, of_size(3));
  EXPECT_EQ(step_all(), captures) << "clone";
  const auto image = trainer.capture({2});
  trainer.release({2});
  ids.erase(ids.begin() + 2);
  EXPECT_EQ(step_all(), captures) << "pause or prune";
  trainer.admit({9}, of_size(7));  // another rank and other targets in the slot
  ids.push_back({9});
  EXPECT_EQ(step_all(), captures) << "a new trial in the place of the pruned one";
  trainer.release({9});
  ids.back() = {2};
  trainer.restore({2}, of_size(2), *image);
  EXPECT_EQ(step_all(), captures) << "promotion";
  trainer.evaluate(ids, {});
  EXPECT_EQ(step_all(), captures) << "evaluation";
}

TEST_F(Graphs, ALongerExampleThanBuffersWereSizedForIsCapturedAnewAndRight) {
  std::vector<Example> valid = tiny_examples({60, 60}, 37, 4);  // longer than all of training: grows buffers
  const auto run = [&](bool graphs) {
    const auto bank = store(1);
    PackedTrainer trainer(*bank, train_, valid, {.tokens_per_pass = 32, .graphs = graphs});
    const TrialId id{0};
    trainer.admit(id, config(0));
    std::vector<StepResult> results;
    for (int step = 0; step < 3; ++step) {
      results.push_back(trainer.step(std::span(&id, 1)).front());
      trainer.evaluate(std::span(&id, 1), {});
    }
    return results;
  };
  const auto plain = run(false), captured = run(true);
  for (std::size_t i = 0; i < plain.size(); ++i) expect_same(captured[i], plain[i]);
}

TEST_F(Graphs, ResultsMayBeCollectedARoundLate) {
  const auto run = [&](bool late) {
    const auto bank = store(2);
    PackedTrainer trainer(*bank, train_, valid_, {.tokens_per_pass = 64});
    const std::vector<TrialId> ids{{0}, {1}};
    for (std::size_t i = 0; i < 2; ++i) trainer.admit(ids[i], config(i));
    std::vector<StepResult> results;
    const auto take = [&] {
      for (const auto& result : trainer.collect()) results.push_back(result);
    };
    if (late) trainer.submit(ids);
    for (int step = 0; step < 5; ++step) {
      trainer.submit(ids);
      take();
    }
    if (!late) trainer.submit(ids);
    take();
    return results;
  };
  const auto now = run(false), late = run(true);
  ASSERT_EQ(now.size(), late.size());
  for (std::size_t i = 0; i < now.size(); ++i) expect_same(now[i], late[i]);
}

}  // namespace
}  // namespace finetune::testing
