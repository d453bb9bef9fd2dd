// train.lora beside model.adapter: equal values are no conflict, however they are spelled.
#include <gtest/gtest.h>

#include "core/error.h"
#include "engine/adopt_adapter.h"
#include "engine/parameter_store.h"

namespace finetune::testing {
namespace {

// What is said of train.lora with these keys given, beside an adapter of rank 8, alpha 12 on `targets`.
std::string said(const std::vector<std::string>& targets, const LoraConfig& lora,
                 const std::vector<std::string>& given) {
  RunConfig config;
  config.train.lora = lora;
  for (auto& key : given) config.given.push_back("train.lora." + key);
  AdapterSpec spec{.rank = 8, .alpha = 12, .rslora = true};
  spec.targets = resolve_targets({}, targets);
  try {
    adopt_adapter(config, spec, {});
  } catch (const Error& error) {
    return error.what();
  }
  EXPECT_EQ(config.train.lora.rank, 8);
  EXPECT_EQ(config.train.lora.alpha, 12);
  EXPECT_EQ(resolve_targets({}, config.train.lora.targets), spec.targets);
  EXPECT_FALSE(config.train.lora.alpha_over_rank);
  return "adopted";
}

TEST(AdoptAdapter, EqualTargetsAreNoConflictInAnySpelling) {
  const std::vector<std::string> seven{"down_proj", "q_proj", "v_proj", "k_proj", "gate_proj", "up_proj", "o_proj"};
  using Lists = std::vector<std::vector<std::string>>;
  for (const auto& spelling : Lists{{"all-linear"}, {"attention", "mlp"}, seven, {"mlp", "attention", "q_proj"}})
    EXPECT_EQ(said(seven, {.targets = spelling}, {"targets"}), "adopted") << spelling[0];
  EXPECT_EQ(said({"v_proj", "q_proj"}, {.targets = {"q_proj", "v_proj"}}, {"targets"}), "adopted");
  EXPECT_EQ(said({"v_proj", "q_proj"}, {.targets = {"all-linear"}}, {"targets"}),
            "train.lora.targets conflicts with model.adapter, which has targets q_proj, v_proj; leave "
            "train.lora.targets out");
  EXPECT_EQ(said({"v_proj", "q_proj"}, {.targets = {"all-linear"}}, {}), "adopted") << "a default is no wish";
}

TEST(AdoptAdapter, EqualNumbersAreNoConflictAndOthersAreNamed) {
  EXPECT_EQ(said({"mlp"}, {.rank = 8, .alpha = 12, .rslora = true}, {"rank", "alpha", "rslora"}), "adopted");
  EXPECT_EQ(said({"mlp"}, {.alpha_over_rank = 1.5}, {"alpha_over_rank"}), "adopted");
  EXPECT_EQ(said({"mlp"}, {.alpha_over_rank = 2}, {"alpha_over_rank"}),
            "train.lora.alpha_over_rank conflicts with model.adapter, which has alpha 12 and rank 8; leave "
            "train.lora.alpha_over_rank out");
  EXPECT_TRUE(said({"mlp"}, {.rank = 16}, {"rank"}).starts_with("train.lora.rank conflicts"));
  EXPECT_TRUE(said({"mlp"}, {.alpha = 16}, {"alpha"}).starts_with("train.lora.alpha conflicts"));
  EXPECT_TRUE(said({"mlp"}, {.rslora = false}, {"rslora"}).starts_with("train.lora.rslora conflicts"));
}

TEST(AdoptAdapter, PatternsAndWholeModulesAreTakenOver) {
  RunConfig config;
  adopt_adapter(config, {.saved = {.lm_head = true}, .patterns = {{{"q_proj", 4}}, {{"o_proj", 2.5}}}}, {});
  EXPECT_EQ(config.train.lora.modules_to_save, std::vector<std::string>{"lm_head"});
  EXPECT_EQ(patterns_of(config.train.lora), (AdapterPatterns{{{"q_proj", 4}}, {{"o_proj", 2.5}}}));
}

// What an adapter has is the same for all trials.
TEST(AdoptAdapter, WhatItHasIsNotSearched) {
  for (const char* key : {"rank", "alpha", "alpha_over_rank", "rslora", "init", "dora", "rank_pattern", "alpha_pattern",
                          "modules_to_save", "targets"}) {
    RunConfig config;
    config.search.push_back({.name = std::string("train.lora.") + key, .choices = {std::int64_t{4}}});
    AdapterSpec spec{.rank = 8, .alpha = 12};
    try {
      adopt_adapter(config, spec, {});
      ADD_FAILURE() << key;
    } catch (const Error& error) {
      EXPECT_TRUE(std::string(error.what()).starts_with(std::string("search.train.lora.") + key + " conflicts")) << key;
    }
  }
}

}  // namespace
}  // namespace finetune::testing
