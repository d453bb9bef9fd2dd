// Greedy decoding: ids equal transformers' (tests/golden/generate.json), and a sequence becomes what it becomes alone.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "engine/evaluate.h"
#include "kernels/torch/backend.h"
#include "models/checkpoint.h"
#include "models/generate/generate.h"
#include "models/generate/score.h"
#include "support/goldens.h"
#include "support/tiny_models.h"

namespace finetune::testing {
namespace {

using Ids = std::vector<std::int32_t>;

// A base with an adapter in each slot of a bank; the last choice is the bare base.
struct Trials {
  explicit Trials(const DecoderBase& base, std::size_t count)
      : bank(base.options,
             {.slots = static_cast<std::int64_t>(count),
              .rank = 16,
              .targets = ProjectionSet::all(),
              .dtype = at::kFloat},
             at::kCPU) {
    for (std::size_t i = 0; i < count; ++i) {
      const auto slot = static_cast<std::int64_t>(i);
      bank.initialize(slot, {.rank = 4, .targets = ProjectionSet::all()}, i);
      bank.params_SP.select(0, slot).add_(at::randn_like(bank.params_SP.select(0, slot)), 0.05);
      adapters.push_back({.slot = slot, .rank = 16, .scale = 1.5, .targets = ProjectionSet::all()});
    }
    adapters.emplace_back();
  }
  AdapterBank bank;
  std::vector<AdapterChoice> adapters;
};

std::vector<Prompt> prompts_of(std::size_t trials, std::int64_t vocabulary) {
  std::vector<Prompt> prompts;
  for (const Example& example : tiny_examples({1, 40, 2, 17, 16, 5, 1, 31, 15}, vocabulary)) {
    for (std::size_t trial = 0; trial < trials; ++trial) prompts.push_back({trial, example.ids});
  }
  return prompts;
}

DecoderOptions windowed() {
  DecoderOptions o = tiny_options();
  o.window = {0, 8, 20};
  o.qk_norm = QkNorm::head;
  o.qkv_bias = true;
  return o;
}

class Generate : public ::testing::Test {
 protected:
  void SetUp() override { at::manual_seed(3); }
  DecoderBase base_ = tiny_base(windowed(), at::kFloat);
  Trials trials_{base_, 3};
  std::vector<Prompt> prompts_ = prompts_of(4, 37);

  std::vector<Ids> run(const std::vector<Prompt>& prompts, const GenerateOptions& options) const {
    return generate(base_, &trials_.bank, trials_.adapters, prompts, options);
  }
};

// By passes over the whole text, without a cache.
Ids continued_without_cache(const DecoderBase& base, const Trials& trials, const Prompt& prompt, std::int64_t count) {
  Ids made;
  for (std::int64_t i = 0; i < count; ++i) {
    Ids all = prompt.ids;
    all.insert(all.end(), made.begin(), made.end());
    GenerateOptions options;
    options.max_new_tokens = 1;
    made.push_back(
        generate(base, &trials.bank, trials.adapters, std::vector{Prompt{prompt.trial, all}}, options)[0][0]);
  }
  return made;
}

TEST_F(Generate, CacheGivesWhatPassesOverTheWholeTextGive) {
  const auto ids = run(prompts_, {.max_new_tokens = 12});
  for (std::size_t i = 0; i < prompts_.size(); ++i)
    EXPECT_EQ(ids[i], continued_without_cache(base_, trials_, prompts_[i], 12)) << i;
}

TEST_F(Generate, ASequenceDoesNotDependOnItsNeighbours) {
  const auto together = run(prompts_, {.max_new_tokens = 20});
  for (std::size_t i = 0; i < prompts_.size(); ++i) {
    EXPECT_EQ(run({prompts_[i]}, {.max_new_tokens = 20})[0], together[i]) << i;
  }
}

TEST_F(Generate, LittleRoomOnlyMakesSequencesWait) {
  const auto expected = run(prompts_, {.max_new_tokens = 20});
  GenerateOptions options{.max_new_tokens = 20};
  options.sequences = 3;
  EXPECT_EQ(run(prompts_, options), expected);
  options.sequences = 1024;
  options.cache_bytes = 1;  // room for the longest alone
  EXPECT_EQ(run(prompts_, options), expected);
  options.tokens_per_pass = 20;
  EXPECT_EQ(run(prompts_, options), expected);
}

TEST_F(Generate, EndsAtAnEndTokenWhichStays) {
  const auto whole = run(prompts_, {.max_new_tokens = 20});
  GenerateOptions options{.max_new_tokens = 20};
  options.end_ids = {whole[0][5], whole[3][2]};
  const auto ended = run(prompts_, options);
  for (std::size_t i = 0; i < prompts_.size(); ++i) {
    const auto end = std::ranges::find_first_of(whole[i], options.end_ids);
    EXPECT_EQ(ended[i], Ids(whole[i].begin(), end == whole[i].end() ? end : end + 1)) << i;
  }
}

TEST_F(Generate, EndsWhereTheCallerSays) {
  const auto whole = run(prompts_, {.max_new_tokens = 20});
  std::vector<std::size_t> calls(prompts_.size());
  std::size_t ends = 0;
  const auto ended = generate(base_, &trials_.bank, trials_.adapters, prompts_, {.max_new_tokens = 20},
                              {.on_token =
                                   [&](std::size_t prompt, std::span<const std::int32_t> ids) {
                                     EXPECT_EQ(ids.size(), ++calls[prompt]);
                                     return ids.size() == prompt % 5 + 1;
                                   },
                               .on_end =
                                   [&](std::size_t prompt, std::span<const std::int32_t> ids) {
                                     EXPECT_EQ(ids.size(), calls[prompt]);
                                     ++ends;
                                   }});
  EXPECT_EQ(ends, prompts_.size());
  for (std::size_t i = 0; i < prompts_.size(); ++i)
    EXPECT_EQ(ended[i], Ids(whole[i].begin(), whole[i].begin() + static_cast<std::ptrdiff_t>(i % 5 + 1))) << i;
}

TEST_F(Generate, EndsAtTheModelsLastPosition) {
  const auto ids = run(prompts_, {.max_new_tokens = 500});
  for (std::size_t i = 0; i < prompts_.size(); ++i) EXPECT_EQ(ids[i].size(), 64 - prompts_[i].ids.size() + 1) << i;
}

TEST_F(Generate, InBfloat16AndByCompositionToo) {
  DecoderBase narrow = tiny_base(windowed(), at::kBFloat16);
  widen_vectors(narrow);
  const auto run_narrow = [&](const std::vector<Prompt>& prompts) {
    return generate(narrow, &trials_.bank, trials_.adapters, prompts, {.max_new_tokens = 10});
  };
  const auto together = run_narrow(prompts_);
  for (std::size_t i = 0; i < prompts_.size(); ++i) EXPECT_EQ(run_narrow({prompts_[i]})[0], together[i]) << i;
  const auto expected = run(prompts_, {.max_new_tokens = 20});
  const ops::UseKernels composition(ops::KernelTable::composition());
  EXPECT_EQ(run(prompts_, {.max_new_tokens = 20}), expected);
}

TEST_F(Generate, ACappedSoftmaxIsComposed) {
  DecoderOptions capped = windowed();
  capped.attention_softcap = 1.5;
  const DecoderBase base = tiny_base(capped, at::kFloat);
  const auto ids = generate(base, &trials_.bank, trials_.adapters, prompts_, {.max_new_tokens = 8});
  for (std::size_t i = 0; i < prompts_.size(); ++i)
    EXPECT_EQ(ids[i], continued_without_cache(base, trials_, prompts_[i], 8)) << i;
}

// Prompts about the length of a block, and continuations of several lengths.
std::vector<Question> questions_of(std::size_t trials) {
  std::vector<Question> questions;
  for (const std::int64_t length : {1, 2, 15, 16, 17, 18, 33, 40}) {
    for (std::size_t trial = 0; trial < trials; ++trial) {
      const auto lists = tiny_examples({length, 1, 5, 17}, 37, static_cast<std::uint64_t>(length));
      questions.push_back({trial, lists[0].ids, {lists[1].ids, lists[2].ids, lists[3].ids}});
    }
  }
  return questions;
}

// By a pass over prompt and continuation together.
double score_without_cache(const DecoderBase& base, const Question& question, const Ids& continuation) {
  Example whole;
  whole.ids = question.prompt;
  whole.ids.insert(whole.ids.end(), continuation.begin(), continuation.end());
  whole.loss.assign(whole.ids.size(), 0);
  std::fill(whole.loss.begin() + std::ssize(question.prompt), whole.loss.end(), 1);
  return -evaluate_examples(base, nullptr, std::span(&whole, 1), 4096)[0].nll;
}

TEST_F(Generate, ScoresAreThoseOfWholeTexts) {
  for (const Question& question : questions_of(1)) {
    Question bare = question;
    bare.trial = 3;  // the base without an adapter
    const auto scores = score(base_, &trials_.bank, trials_.adapters, std::vector{bare}, {});
    for (std::size_t c = 0; c < bare.continuations.size(); ++c) {
      // Sums of up to 17 float32 losses near 4, each with some roundings of 2e-7.
      EXPECT_NEAR(scores[0][c], score_without_cache(base_, bare, bare.continuations[c]), 2e-5)
          << bare.prompt.size() << " tokens, continuation " << c;
    }
  }
}

TEST_F(Generate, AScoreDoesNotDependOnItsNeighboursNorOnTheRoom) {
  const auto questions = questions_of(4);
  const auto together = score(base_, &trials_.bank, trials_.adapters, questions, {});
  for (std::size_t i = 0; i < questions.size(); ++i)
    EXPECT_EQ(score(base_, &trials_.bank, trials_.adapters, std::vector{questions[i]}, {})[0], together[i]) << i;
  EXPECT_EQ(score(base_, &trials_.bank, trials_.adapters, questions, {.tokens_per_pass = 50, .cache_bytes = 1}),
            together);
}

class Goldens : public ::testing::TestWithParam<std::string> {};

TEST_P(Goldens, IdsAreThoseOfTransformers) {
  const auto golden = read_golden("generate.json");
  const auto folder = golden_path("models") / GetParam().substr(0, GetParam().find('+'));
  const BaseModel model = load_checkpoint(folder, at::kFloat);
  const DecoderBase base = make_base(model, at::kCPU);
  std::optional<PeftAdapter> adapter;
  if (GetParam().find('+') != std::string::npos)
    adapter =
        load_peft_adapter(golden_path("lora") / GetParam().substr(GetParam().find('+') + 1) / "final", model.options);
  const SingleAdapter single(base, adapter ? &*adapter : nullptr);
  const AdapterChoice choice = choice_of(single.trial());
  std::vector<Prompt> prompts;
  for (const auto& ids : golden.at("prompts")) prompts.push_back({0, ids.get<Ids>()});
  GenerateOptions options;
  options.max_new_tokens = golden.at("max_new_tokens").get<std::int64_t>();
  options.end_ids = golden.at("end_ids").get<Ids>();
  const auto ids = generate(base, single.bank(), std::span(&choice, 1), prompts, options);
  const auto& expected = golden.at("ids").at(GetParam());
  std::size_t compared = 0;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    if (expected[i].is_null()) continue;  // too near a tie: generate.py
    ++compared;
    EXPECT_EQ(ids[i], expected[i].get<Ids>()) << "prompt " << i;
  }
  EXPECT_GE(compared, 10u);
}

std::vector<std::string> models_with_texts() {
  std::vector<std::string> names;
  const auto golden = read_golden("generate.json");
  for (const auto& [name, ids] : golden.at("ids").items()) names.push_back(name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(Models, Goldens, ::testing::ValuesIn(models_with_texts()), [](const auto& info) {
  std::string name = info.param;
  std::ranges::replace(name, '+', '_');
  return name;
});

}  // namespace
}  // namespace finetune::testing
