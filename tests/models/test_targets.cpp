#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "models/model_files.h"
#include "models/targets.h"

namespace finetune {
namespace {

using Json = nlohmann::ordered_json;
using testing::error_of;
using testing::holds;

DecoderOptions three_layers() {
  DecoderOptions options;
  options.layers = 3;
  return options;
}

// As seven letters: q k v o g u d, or - where it is not a target.
std::string letters(const ProjectionSet& set) {
  std::string text;
  for (const Projection p : ProjectionSet::all().members()) text += set.has(p) ? name_of(p)[0] : '-';
  return text;
}

TEST(ResolveTargets, GroupsAndNamesAddUp) {
  const auto resolve = [](const std::vector<std::string>& names) {
    return letters(resolve_targets(three_layers(), names));
  };
  EXPECT_EQ(resolve({"all-linear"}), "qkvogud");
  EXPECT_EQ(resolve({"attention"}), "qkvo---");
  EXPECT_EQ(resolve({"mlp"}), "----gud");
  EXPECT_EQ(resolve({"v_proj", "q_proj"}), "q-v----");
  EXPECT_EQ(resolve({"mlp", "o_proj", "o_proj"}), "---ogud");
}

TEST(ResolveTargets, WrongNamesListTheProjections) {
  for (const auto& names : std::vector<std::vector<std::string>>{{}, {"q_porj"}, {"mlp", ""}, {"lm_head"}}) {
    EXPECT_TRUE(holds(error_of([&] { resolve_targets(three_layers(), names); }),
                      "q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj"));
  }
}

// A fused model has other modules, and no others by name.
TEST(ResolveTargets, OfAFusedModel) {
  DecoderOptions fused = three_layers();
  fused.fused = true;
  using enum Projection;
  const auto resolve = [&](const std::vector<std::string>& names) { return resolve_targets(fused, names); };
  EXPECT_EQ(resolve({"all-linear"}), (ProjectionSet{qkv, o, gate_up, down}));
  EXPECT_EQ(resolve({"attention"}), (ProjectionSet{qkv, o}));
  EXPECT_EQ(resolve({"mlp"}), (ProjectionSet{gate_up, down}));
  EXPECT_EQ(resolve({"qkv_proj"}), ProjectionSet{qkv});
  EXPECT_TRUE(holds(error_of([&] { resolve({"q_proj"}); }), "qkv_proj"));
  EXPECT_TRUE(holds(error_of([] { resolve_targets(three_layers(), {"qkv_proj"}); }), "q_proj"));
  EXPECT_EQ(match_target_modules("f", Json{"qkv_proj", "mlp.gate_up_proj"}, fused), (ProjectionSet{qkv, gate_up}));
}

TEST(MatchTargetModules, ListsMatchWholeNamesBehindADot) {
  const auto match = [](const Json& json) { return letters(match_target_modules("f", json, three_layers())); };
  EXPECT_EQ(match({"q_proj", "mlp.down_proj"}), "q-----d");
  EXPECT_EQ(match({"q_proj", "c_attn", "roj"}), "q------");  // no module has these: passed over as PEFT does
  EXPECT_EQ(match("all-linear"), "qkvogud");
}

TEST(MatchTargetModules, NamesOfAListThatNoModuleHasAreTold) {
  EXPECT_EQ(unmatched_modules(Json{"q_proj", "c_attn", "model.layers.1.mlp.up_proj"}, three_layers()),
            std::vector<std::string>{"c_attn"});
  EXPECT_TRUE(unmatched_modules("all-linear", three_layers()).empty());
}

TEST(MatchTargetModules, StringsArePatternsOverTheWholePath) {
  const auto match = [](const std::string& text) { return letters(match_target_modules("f", text, three_layers())); };
  EXPECT_EQ(match(R"(.*\.(q|v)_proj)"), "q-v----");
  EXPECT_EQ(match(R"(model\.layers\.\d+\.mlp\.(?P<which>gate|up)_proj)"), "----gu-");
  EXPECT_EQ(match(R"(.*self_attn.*)"), "qkvo---");
}

TEST(MatchTargetModules, WhatTheEngineCannotHoldIsRefused) {
  struct Case {
    Json target_modules;
    const char* message;
  };
  const Case cases[] = {
      {Json(3), "must be a list of names or a string"},
      {Json::array({"q_proj", 3}), "must hold names"},
      {Json::array(), "matches nothing in the model, which has q_proj"},
      {Json::array({"c_attn"}), "matches nothing"},
      {Json::array({"q_proj", "lm_head"}), "names lm_head"},
      {Json::array({"embed_tokens"}), "names model.embed_tokens"},
      {Json::array({"model.layers.1.self_attn.q_proj"}), "matches q_proj in 1 of 3 layers"},
      {Json(R"(.*\.[01]\..*_proj)"), "in 2 of 3 layers"},
      {Json("q_proj"), "matches nothing"},  // a string is a pattern for the whole path
      {Json(".*"), "names lm_head"},
      {Json("(q_proj"), "not a valid pattern"},
      {Json("([a-z0-9_.]+)+[A-Z]"), "takes too long"},
  };
  for (const auto& c : cases) {
    EXPECT_TRUE(holds(error_of([&] { match_target_modules("f", c.target_modules, three_layers()); }), c.message));
  }
}

}  // namespace
}  // namespace finetune
