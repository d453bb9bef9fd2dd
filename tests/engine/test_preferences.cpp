// Objectives of preferences through the whole engine: our numbers against TRL's trainers (tests/golden/preference.py),
// and a trial's bits whoever trains beside it.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>

#include "engine/packed_trainer.h"
#include "engine/reference.h"
#include "models/checkpoint.h"
#include "models/peft.h"
#include "support/compare.h"
#include "support/goldens.h"

namespace finetune::testing {
namespace {

// As of sft's parity (test_parity.cpp): fp32 on both sides in another order of sums, and steps that amplify it.
constexpr Bound kParity{.absolute = 1e-6, .relative = 2e-5};

std::vector<std::string> golden_runs() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(golden_path("preference"))) {
    if (entry.path().extension() == ".json") names.push_back(entry.path().stem().string());
  }
  std::ranges::sort(names);
  return names;
}

// A run as a golden has it: the model, what its trials start from, its data with references.
struct GoldenRun {
  explicit GoldenRun(const std::string& name)
      : golden(read_golden("preference/" + name + ".json")),
        model(load_checkpoint(golden_path("models/llama"), at::kFloat)),
        start(load_peft_adapter(golden_path("preference/" + golden.at("start").get<std::string>()), model.options)),
        base(make_base(model, at::kCPU)),
        train(examples_from(golden.at("examples"))),
        valid(examples_from(golden.at("held_out"))),
        objective(objective_named(golden.at("objective").get<std::string>())),
        reference(std::make_shared<const ReferenceModel>(base, &start)) {
    for (auto* data : {&train, &valid}) {
      const auto losses = reference->answer_losses(*data, 64);
      if (objective.needs_reference()) data->set_reference(losses);
    }
  }

  TrainConfig config() const {
    TrainConfig c;
    c.steps = golden.at("steps").get<std::int64_t>();
    c.batch_size = golden.at("batch_size").get<std::int64_t>();
    c.learning_rate = golden.at("learning_rate_peak").get<double>();
    c.warmup_ratio = golden.at("warmup_ratio").get<double>();
    c.beta = golden.at("beta").get<double>();
    c.gamma = golden.at("gamma").get<double>();
    c.lora.rank = start.spec.rank;
    c.lora.alpha = start.spec.alpha;
    return c;
  }

  std::unique_ptr<ParameterStore> store(std::int64_t slots) const {
    return make_lora_store(base, {.slots = slots, .max_rank = 20, .targets = start.spec.targets}, &start.tensors);
  }

  std::unique_ptr<PackedTrainer> trainer(ParameterStore& bank, std::int64_t tokens_per_pass, bool shuffle) const {
    return std::make_unique<PackedTrainer>(bank, train, valid,
                                           TrainerOptions{.tokens_per_pass = tokens_per_pass,
                                                          .objective = &objective,
                                                          .reference = reference,
                                                          .max_length = 60,
                                                          .shuffle = shuffle});
  }

  nlohmann::ordered_json golden;
  BaseModel model;
  PeftAdapter start;
  DecoderBase base;
  Examples train, valid;
  const Objective& objective;
  std::shared_ptr<const ReferenceModel> reference;
};

class TrlParity : public ::testing::TestWithParam<std::string> {};

// With passes that hold a whole batch and with some that hold a part of it.
TEST_P(TrlParity, TenSteps) {
  const GoldenRun run(GetParam());
  const auto expect = [&](const char* key, const std::vector<double>& actual, Bound bound) {
    const auto expected = run.golden.at(key).get<std::vector<double>>();
    EXPECT_TRUE(all_near(std::span<const double>(actual), std::span<const double>(expected), bound)) << key;
  };
  for (const std::int64_t tokens_per_pass : {1000, 60}) {
    SCOPED_TRACE(std::to_string(tokens_per_pass) + " tokens a pass");
    const auto bank = run.store(1);
    const auto trainer = run.trainer(*bank, tokens_per_pass, false);
    const TrialId trial{0};
    trainer->admit(trial, run.config());
    std::vector<double> loss, norm, rate;
    for (std::int64_t step = 0; step < run.config().steps; ++step) {
      const StepResult result = trainer->step(std::span(&trial, 1)).front();
      loss.push_back(result.train_loss);
      norm.push_back(result.gradient_norm);
      rate.push_back(result.learning_rate);
    }
    expect("train_loss", loss, kParity);
    expect("grad_norm", norm, kParity);
    expect("learning_rate", rate, {.relative = 1e-6});
    const EvalResult valid = trainer->evaluate(std::span(&trial, 1), {}).front();
    EXPECT_TRUE(near(valid.loss, run.golden.at("valid_loss").get<double>(), kParity));
    // A difference of sums of some tens.
    EXPECT_TRUE(near(valid.task.at("reward_margin"), run.golden.at("valid_margin").get<double>(),
                     {.absolute = 1e-5, .relative = 2e-5}));
    if (run.golden.contains("valid_accuracy")) {
      EXPECT_EQ(valid.task.at("preference_accuracy"), run.golden.at("valid_accuracy").get<double>());
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Runs, TrlParity, ::testing::ValuesIn(golden_runs()),
                         [](const auto& info) { return info.param; });

// Trials that differ in all that an objective and a batch may differ in.
std::vector<TrainConfig> unlike(const GoldenRun& run) {
  std::vector<TrainConfig> configs(4, run.config());
  for (std::size_t i = 0; i < configs.size(); ++i) {
    configs[i].beta = std::vector<double>{0.05, 0.3, 1, 0.7}[i];
    configs[i].gamma = 0.2 * static_cast<double>(i);
    configs[i].batch_size = std::vector<std::int64_t>{4, 3, 5, 1}[i];
    configs[i].seed = static_cast<std::int64_t>(i);
    configs[i].lora.dropout = i == 2 ? 0.2 : 0;
  }
  configs[1].batch_size = 4;
  configs[1].seed = 0;  // beta and gamma alone
  return configs;
}

struct Numbers {
  std::vector<double> steps;
  EvalResult evaluation;
};

std::map<std::int64_t, Numbers> train_together(const GoldenRun& run, const std::vector<std::int64_t>& who) {
  const auto bank = run.store(std::ssize(who));
  const auto trainer = run.trainer(*bank, 60, true);
  std::vector<TrialId> ids;
  for (const std::int64_t i : who) {
    ids.push_back({i});
    trainer->admit({i}, unlike(run)[static_cast<std::size_t>(i)]);
  }
  std::map<std::int64_t, Numbers> numbers;
  for (int step = 0; step < 5; ++step) {
    const auto results = trainer->step(ids);
    for (const StepResult& result : results) {
      numbers[result.trial.value].steps.push_back(result.train_loss);
      numbers[result.trial.value].steps.push_back(result.gradient_norm);
    }
  }
  for (EvalResult& result : trainer->evaluate(ids, {.examples = true})) {
    const std::int64_t trial = result.trial.value;
    numbers[trial].evaluation = std::move(result);
  }
  return numbers;
}

// Prompts of a batch with the answers of their neighbours, cut to the length that data has.
TEST(Divergence, AnAnswerStandsBehindTheNextPrompt) {
  const std::vector<Example> rows{{.ids = {1, 2, 10, 11}, .loss = {0, 0, 1, 1}, .answers = {2}},
                                  {.ids = {3, 20}, .loss = {0, 1}, .answers = {1}},
                                  {.ids = {4, 5, 6, 30}, .loss = {0, 0, 0, 1}, .answers = {3}}};
  const auto moved = mismatched(Batch(rows), 4);
  ASSERT_EQ(moved.size(), 3u);
  EXPECT_EQ(moved[0].ids, (std::vector<std::int32_t>{1, 2, 30}));
  EXPECT_EQ(moved[1].ids, (std::vector<std::int32_t>{3, 10, 11}));
  EXPECT_EQ(moved[2].ids, (std::vector<std::int32_t>{4, 5, 6, 20}));
  EXPECT_EQ(moved[1].loss, (std::vector<std::uint8_t>{0, 1, 1}));
  EXPECT_EQ(mismatched(Batch(rows), 3)[2].ids.size(), 3u);
}

// What is known of a pair is not computed again.
TEST(Divergence, APairsReferenceIsComputedOnce) {
  const std::vector<Example> rows{{.ids = {1, 10}, .loss = {0, 1}, .answers = {1}},
                                  {.ids = {3, 20}, .loss = {0, 1}, .answers = {1}}};
  const Batch batch(rows);
  const auto moved = mismatched(batch, 9);
  MismatchedReferences references;
  std::size_t computed = 0;
  const auto compute = [&](std::span<const Example> examples) {
    computed += examples.size();
    return std::vector<std::vector<double>>(examples.size(), {1.5});
  };
  EXPECT_EQ(references.sum(batch, moved, compute), 3);
  EXPECT_EQ(references.sum(batch, moved, compute), 3);
  EXPECT_EQ(computed, 2u);
}

class PreferenceIsolation : public ::testing::TestWithParam<std::string> {};

TEST_P(PreferenceIsolation, APackEqualsSoloRunsBitForBit) {
  const GoldenRun run(GetParam());
  const auto packed = train_together(run, {2, 0, 3, 1});
  for (const std::int64_t i : {0, 1, 2, 3}) {
    SCOPED_TRACE("trial " + std::to_string(i));
    const auto solo = train_together(run, {i});
    EXPECT_EQ(packed.at(i).steps, solo.at(i).steps);
    EXPECT_EQ(packed.at(i).evaluation.loss, solo.at(i).evaluation.loss);
    EXPECT_EQ(packed.at(i).evaluation.task, solo.at(i).evaluation.task);
  }
  EXPECT_NE(packed.at(0).steps, packed.at(1).steps) << "beta decides nothing";
}

INSTANTIATE_TEST_SUITE_P(Runs, PreferenceIsolation, ::testing::ValuesIn(golden_runs()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace finetune::testing
