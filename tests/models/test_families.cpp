// config.json of each family, in the spellings of transformers 4 and 5, onto the decoder's options.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <span>

#include "models/families/family.h"
#include "models/model_files.h"
#include "models/rope.h"
#include "support/compare.h"
#include "support/goldens.h"

namespace finetune {
namespace {

using Json = nlohmann::ordered_json;
using testing::error_of;
using testing::holds;
using Windows = std::vector<std::int64_t>;

Json config_of(const std::string& family, const Json& more = Json::object()) {
  Json config = {{"model_type", family},    {"vocab_size", 100},      {"hidden_size", 64},
                 {"intermediate_size", 48}, {"num_hidden_layers", 4}, {"num_attention_heads", 32},
                 {"num_key_value_heads", 8}};
  for (const auto& [key, value] : more.items()) {
    config[key] = value;
    if (value == "absent") config.erase(key);
  }
  return config;
}

DecoderOptions options_of(const std::string& family, const Json& more = Json::object()) {
  return decoder_options("config.json", config_of(family, more));
}

TEST(Rope, FrequenciesEqualTransformers) {
  const auto golden = testing::read_golden("rope.json");
  ASSERT_GT(golden.at("cases").size(), 15u);
  for (const auto& c : golden.at("cases")) {
    SCOPED_TRACE(c.at("name").get<std::string>());
    const auto& config = c.at("config");
    const std::int64_t heads = config.at("num_attention_heads").get<std::int64_t>();
    const std::int64_t head_dim = config.value("head_dim", config.at("hidden_size").get<std::int64_t>() / heads);
    const auto rotary = rotary_options(
        "config.json", config,
        {.head_dim = head_dim, .max_positions = config.at("max_position_embeddings").get<std::int64_t>()});
    const auto expected = c.at("frequencies").get<std::vector<double>>();
    // Same operations in fp32; another build of the vector math library may round a power differently by one unit in
    // the last place (1.2e-7).
    EXPECT_TRUE(testing::all_near(std::span<const float>(rotary.inverse_frequencies), std::span<const double>(expected),
                                  {.relative = 1.2e-7}));
    // One rounding to fp32.
    EXPECT_TRUE(testing::near(rotary.attention_factor, c.at("attention_factor").get<double>(), {.relative = 6e-8}));
  }
}

// A family comes with a model made by transformers and the losses that it has there.
TEST(Families, EachHasItsGolden) {
  const auto losses = testing::read_golden("forward.json").at("nll");
  for (const std::string& name : family_names()) {
    EXPECT_TRUE(losses.contains(name)) << name;
    const auto config = read_json_file(testing::golden_path("models/" + name + "/config.json").string());
    EXPECT_EQ(config.at("model_type"), name);
  }
}

TEST(Families, LlamaDefaults) {
  const auto o = options_of("llama", {{"num_key_value_heads", "absent"}});
  EXPECT_EQ(o.family, "llama");
  EXPECT_EQ(o.kv_heads, 32);
  EXPECT_EQ(o.head_dim, 2);
  EXPECT_EQ(o.max_positions, 2048);
  EXPECT_EQ(o.norm_epsilon, 1e-6);
  EXPECT_FALSE(o.tied_head || o.qkv_bias || o.o_bias || o.mlp_bias || o.qk_norm != QkNorm::none);
  EXPECT_EQ(o.window, (Windows{0, 0, 0, 0}));
}

TEST(Families, LlamaBiases) {
  const auto o = options_of("llama", {{"attention_bias", true}, {"mlp_bias", true}, {"tie_word_embeddings", true}});
  EXPECT_TRUE(o.qkv_bias && o.o_bias && o.mlp_bias && o.tied_head);
}

TEST(Families, MistralWindows) {
  EXPECT_EQ(options_of("mistral", {{"num_key_value_heads", "absent"}}).kv_heads, 8);
  EXPECT_EQ(options_of("mistral", {{"num_key_value_heads", nullptr}}).kv_heads, 32);
  EXPECT_EQ(options_of("mistral").max_positions, 131072);
  EXPECT_EQ(options_of("mistral").window, (Windows{4096, 4096, 4096, 4096}));
  EXPECT_EQ(options_of("mistral", {{"sliding_window", 7}}).window, (Windows{7, 7, 7, 7}));
  EXPECT_EQ(options_of("mistral", {{"sliding_window", nullptr}}).window, (Windows{0, 0, 0, 0}));
  EXPECT_EQ(options_of("mistral", {{"head_dim", 128}}).head_dim, 128);
}

TEST(Families, QwenWindows) {
  for (const char* family : {"qwen2", "qwen3"}) {
    const auto windows = [&](const Json& more) { return options_of(family, more).window; };
    EXPECT_EQ(windows({{"sliding_window", 9}}), (Windows{0, 0, 0, 0})) << "use_sliding_window is false";
    EXPECT_EQ(windows({{"use_sliding_window", true}, {"sliding_window", 9}}), (Windows{0, 0, 0, 0}))
        << "28 full layers";
    EXPECT_EQ(windows({{"use_sliding_window", true}, {"sliding_window", 9}, {"max_window_layers", 1}}),
              (Windows{0, 9, 9, 9}));
    EXPECT_EQ(windows({{"use_sliding_window", true}, {"max_window_layers", 3}}), (Windows{0, 0, 0, 4096}));
    EXPECT_EQ(windows({{"use_sliding_window", true}, {"sliding_window", nullptr}, {"max_window_layers", 0}}),
              (Windows{0, 0, 0, 0}));
    const Json types = {"sliding_attention", "full_attention", "sliding_attention", "full_attention"};
    EXPECT_EQ(windows({{"use_sliding_window", true}, {"sliding_window", 9}, {"layer_types", types}}),
              (Windows{9, 0, 9, 0}));
    EXPECT_EQ(windows({{"use_sliding_window", false}, {"sliding_window", 9}, {"layer_types", types}}),
              (Windows{0, 0, 0, 0}));
  }
}

TEST(Families, QwenBiasesAndNorms) {
  const auto two = options_of("qwen2", {{"num_key_value_heads", "absent"}}), three = options_of("qwen3");
  EXPECT_TRUE(two.qkv_bias && !two.o_bias && !two.mlp_bias && two.qk_norm == QkNorm::none);
  EXPECT_EQ(two.kv_heads, 32);
  EXPECT_EQ(two.max_positions, 32768);
  EXPECT_TRUE(three.qk_norm == QkNorm::head && !three.qkv_bias && !three.o_bias);
  EXPECT_EQ(three.head_dim, 128);
  EXPECT_TRUE(options_of("qwen3", {{"attention_bias", true}}).o_bias);
}

TEST(Families, GemmaScalesCapsAndWindows) {
  const Json head = {{"head_dim", "absent"}};
  const auto one = options_of("gemma", head), two = options_of("gemma2", head), three = options_of("gemma3_text", head);
  for (const DecoderOptions* o : {&one, &two, &three}) {
    EXPECT_TRUE(o->tied_head && o->unit_offset_norm && o->activation == kernels::Activation::gelu_tanh);
    EXPECT_EQ(o->head_dim, 256);
    EXPECT_EQ(o->embedding_scale, 8);  // sqrt(64)
    EXPECT_EQ(o->pad_id, 0);
  }
  EXPECT_EQ(one.attention_scale, 0);
  EXPECT_FALSE(one.post_norm);
  EXPECT_EQ(two.attention_scale, 1.0 / 16);  // 256^-1/2
  EXPECT_EQ(std::pair(two.attention_softcap, two.logit_softcap), std::pair(50.0, 30.0));
  EXPECT_EQ(two.window, (Windows{4096, 0, 4096, 0}));
  EXPECT_EQ(options_of("gemma2", {{"attn_logit_softcapping", nullptr}}).attention_softcap, 0);
  EXPECT_EQ(std::pair(three.attention_softcap, three.logit_softcap), std::pair(0.0, 0.0));
  EXPECT_EQ(three.qk_norm, QkNorm::head);
  const auto pattern = options_of("gemma3_text", {{"sliding_window_pattern", 2}, {"sliding_window", 9}});
  EXPECT_EQ(pattern.window, (Windows{9, 0, 9, 0}));
  EXPECT_EQ(pattern.rope, (std::vector{Rope::local, Rope::global, Rope::local, Rope::global}));
}

// In the spellings of transformers 4 and 5.
TEST(Families, Gemma3AnglesAreThoseOfTheLayersType) {
  const Json linear = {{"rope_type", "linear"}, {"factor", 8}};
  Json full = linear;
  full["rope_theta"] = 5e5;
  const Json sliding = {{"rope_type", "default"}, {"rope_theta", 2e4}};
  const auto fourth =
      options_of("gemma3_text", {{"rope_theta", 5e5}, {"rope_local_base_freq", 2e4}, {"rope_scaling", linear}});
  const Json by_type = {{"full_attention", full}, {"sliding_attention", sliding}};
  const auto fifth = options_of("gemma3_text", {{"rope_parameters", by_type}});
  EXPECT_EQ(fourth.rotary.inverse_frequencies, fifth.rotary.inverse_frequencies);
  EXPECT_EQ(fourth.local_rotary.inverse_frequencies, fifth.local_rotary.inverse_frequencies);
  EXPECT_EQ(fourth.rotary.inverse_frequencies.front(), 1.0f / 8);
  EXPECT_EQ(fourth.local_rotary.inverse_frequencies.front(), 1);
}

TEST(Families, Phi3IsFusedAndTurnsAPart) {
  const auto o = options_of("phi3", {{"hidden_size", 256}, {"partial_rotary_factor", 0.75}});
  EXPECT_TRUE(o.fused);
  EXPECT_EQ(o.rotary.inverse_frequencies.size(), 3u);  // of a head of 8 elements
  EXPECT_EQ(o.norm_epsilon, 1e-5);
  EXPECT_EQ(o.window, (Windows{0, 0, 0, 0}));
  const Json factors = {1.0, 1.0, 2.0, 2.0};
  for (const char* type : {"su", "yarn", "longrope"}) {
    const Json scaling = {{"type", type}, {"short_factor", factors}, {"long_factor", factors}};
    const auto longer =
        options_of("phi3", {{"hidden_size", 256}, {"max_position_embeddings", 131072}, {"rope_scaling", scaling}});
    EXPECT_EQ(longer.rotary.long_from, 4096) << type;
    EXPECT_EQ(longer.rotary.long_frequencies, longer.rotary.inverse_frequencies);
    EXPECT_NEAR(longer.rotary.attention_factor, 1.19024, 1e-5);  // Phi-3-mini-128k: sqrt(1 + ln 32 / ln 4096)
    EXPECT_EQ(angle_rows(longer).first(4096), 0);
    EXPECT_EQ(angle_rows(longer).first(4097), 131072);
  }
}

TEST(Families, Smollm3LeavesLayersUnturned) {
  EXPECT_EQ(options_of("smollm3").rope, (std::vector{Rope::global, Rope::global, Rope::global, Rope::none}));
  const Json list = {1, 0, 1, 0};
  const auto o = options_of("smollm3", {{"no_rope_layers", list}, {"use_sliding_window", true}, {"sliding_window", 5}});
  EXPECT_EQ(o.rope, (std::vector{Rope::global, Rope::none, Rope::global, Rope::none}));
  EXPECT_EQ(o.window, (Windows{0, 5, 0, 5}));
  EXPECT_TRUE(o.tied_head);
}

TEST(Families, GraniteAndOlmo2) {
  const auto granite = options_of("granite", {{"embedding_multiplier", 12},
                                              {"residual_multiplier", 0.22},
                                              {"attention_multiplier", 0.015625},
                                              {"logits_scaling", 8},
                                              {"attention_dropout", 0.1}});
  EXPECT_EQ(granite.embedding_scale, 12);
  EXPECT_EQ(granite.residual_scale, 0.22);
  EXPECT_EQ(granite.attention_scale, 0.015625);
  EXPECT_EQ(granite.logit_scale, 0.125);
  ASSERT_EQ(granite.notes.size(), 1u);
  EXPECT_TRUE(holds(granite.notes.front(), "config.json: attention_dropout is 0.1 and is not done"));
  const auto olmo = options_of("olmo2");
  EXPECT_TRUE(!olmo.pre_norm && olmo.post_norm && olmo.qk_norm == QkNorm::whole);
  EXPECT_EQ(olmo.norm_epsilon, 1e-5);
}

// nn.Embedding's padding_idx: a token whose row no input trains.
TEST(Families, PadTokens) {
  EXPECT_EQ(options_of("llama").pad_id, -1);
  EXPECT_EQ(options_of("llama", {{"pad_token_id", 3}}).pad_id, 3);
  EXPECT_EQ(options_of("llama", {{"pad_token_id", -1}}).pad_id, 99);
  EXPECT_EQ(options_of("gemma", {{"pad_token_id", nullptr}}).pad_id, -1);
  EXPECT_TRUE(holds(error_of([] { options_of("llama", {{"pad_token_id", 100}}); }), "key pad_token_id is 100"));
}

// What a family gives a meaning is refused of the others, and what it has none for by its own name.
TEST(Families, OfEachWhatItDoesNotKnowIsRefused) {
  struct Case {
    const char *family, *key;
    Json value;
    const char* named = nullptr;
  };
  const Json one_type = Json::parse(R"(["full_attention"])");
  const Json one_factor = Json::parse(R"({"type": "longrope", "short_factor": [1], "long_factor": [1]})");
  const Case cases[] = {{"gemma2", "hidden_activation", "gelu"},
                        {"gemma2", "attn_logit_softcapping", -1},
                        {"gemma2", "query_pre_attn_scalar", 0},
                        {"gemma2", "use_bidirectional_attention", true},
                        {"gemma3_text", "layer_types", one_type},
                        {"gemma3_text", "use_bidirectional_attention", true},
                        {"granite", "residual_multiplier", 0},
                        {"olmo2", "clip_qkv", 8},
                        {"phi3", "partial_rotary_factor", 1.5},
                        {"phi3", "rope_scaling", one_factor, "short_factor"},
                        {"smollm3", "no_rope_layers", Json::parse("[1, 0]")},
                        {"smollm3", "no_rope_layers", Json::parse("[1, 0, 2, 1]")}};
  for (const Case& c : cases) {
    Json more = {{"hidden_size", 256}};
    more[c.key] = c.value;
    const std::string error = error_of([&] { options_of(c.family, more); });
    EXPECT_TRUE(holds(error, std::string(c.named ? c.named : c.key))) << c.family;
  }
  for (const std::string& family : family_names()) {
    if (family == "gemma3") continue;  // its keys are those of its text_config
    EXPECT_TRUE(holds(error_of([&] { options_of(family, {{"num_experts", 8}}); }), "key num_experts")) << family;
  }
}

TEST(Families, WhatIsNotUnderstoodIsRefused) {
  struct Case {
    Json more;
    const char* message;
  };
  const Json nested = {{"full_attention", {{"rope_type", "default"}}}};
  const Json llama3 = {{"rope_type", "llama3"}, {"factor", 8}, {"low_freq_factor", 1}, {"high_freq_factor", 4}};
  const auto rope = [](Json settings) { return Json{{"rope_scaling", std::move(settings)}}; };
  const auto without = [&](const char* key) {
    Json settings = llama3;
    settings.erase(key);
    return rope(settings);
  };
  const Case cases[] = {
      {{{"model_type", "gpt2"}}, "key model_type is gpt2; supported families: gemma, gemma2, "},
      {{{"model_type", "absent"}}, "key model_type is missing"},
      {{{"model_type", 3}}, "key model_type must be a string"},
      {{{"vocab_size", "absent"}}, "key vocab_size is missing"},
      {{{"hidden_size", 0}}, "key hidden_size is 0"},
      {{{"hidden_size", -64}}, "key hidden_size is -64"},
      {{{"hidden_size", 64.5}}, "key hidden_size must be a whole number"},
      {{{"hidden_size", "64"}}, "key hidden_size must be a whole number, found \"64\""},
      {{{"hidden_size", std::uint64_t{1} << 63}}, "key hidden_size is 9223372036854775808"},
      {{{"num_hidden_layers", 1'000'000'000}}, "key num_hidden_layers"},
      {{{"num_hidden_layers", 0}}, "key num_hidden_layers"},
      {{{"intermediate_size", true}}, "key intermediate_size must be a whole number"},
      {{{"num_key_value_heads", 5}}, "must divide num_attention_heads"},
      {{{"num_key_value_heads", 64}}, "must divide num_attention_heads"},
      {{{"num_attention_heads", 0}}, "key num_attention_heads"},
      {{{"head_dim", 7}}, "key head_dim must be even"},
      {{{"head_dim", 0}}, "key head_dim is 0"},
      {{{"hidden_size", 32}}, "key head_dim must be even"},  // derived: 32 / 32 = 1
      {{{"max_position_embeddings", 0}}, "key max_position_embeddings"},
      {{{"max_position_embeddings", 1 << 26}, {"head_dim", 64}}, "max_position_embeddings is too large"},
      {{{"rms_norm_eps", 0}}, "key rms_norm_eps"},
      {{{"rms_norm_eps", "1e-6"}}, "key rms_norm_eps must be a number"},
      {{{"hidden_act", "gelu"}}, "hidden_act is gelu; only silu is supported"},
      {{{"tie_word_embeddings", 1}}, "tie_word_embeddings must be true or false"},
      {{{"quantization_config", {{"bits", 4}}}}, "key quantization_config changes the model"},
      {{{"num_experts", 8}}, "key num_experts changes the model"},
      {{{"num_local_experts", 8}}, "key num_local_experts changes the model"},
      {{{"attention_multiplier", 0.5}}, "key attention_multiplier changes the model"},
      {{{"final_logit_softcapping", 30}}, "key final_logit_softcapping changes the model"},
      {{{"partial_rotary_factor", 0.5}}, "partial_rotary_factor other than 1"},
      {rope({{"rope_type", "default"}, {"partial_rotary_factor", 0.75}}), "partial_rotary_factor other than 1"},
      {{{"rope_parameters", nested}}, "full_attention sets the rotary embedding by layer type"},
      {{{"rope_theta", 0}}, "rope_theta must be above 1"},
      {{{"rope_scaling", 4}}, "rope_scaling must be an object"},
      {rope({{"rope_type", "longrope"}}), "key short_factor is missing"},
      {rope({{"type", "mrope"}}), "mrope is not supported"},
      {rope({{"rope_type", "linear"}}), "factor is missing"},
      {rope({{"rope_type", "linear"}, {"factor", 0}}), "factor must be positive"},
      {rope({{"rope_type", "linear"}, {"factor", "2"}}), "factor must be a number"},
      {without("factor"), "factor is missing"},
      {without("low_freq_factor"), "low_freq_factor is missing"},
      {without("high_freq_factor"), "high_freq_factor is missing"},
      {rope({{"rope_type", "yarn"}, {"factor", 4}, {"beta_fast", -1}}), "beta_fast must be positive"},
      {rope({{"rope_type", "yarn"}, {"factor", 4}, {"original_max_position_embeddings", 0}}), "must be positive"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.more.dump());
    EXPECT_TRUE(holds(error_of([&] { options_of("llama", c.more); }), c.message));
  }
  EXPECT_TRUE(holds(error_of([] { decoder_options("config.json", Json::array()); }), "is not an object"));
}

TEST(Families, QwenLayerTypesAreChecked) {
  for (const Json& types :
       {Json("full_attention"), Json{"full_attention"},
        Json{"full_attention", "full_attention", "full_attention", "linear_attention"}, Json{1, 2, 3, 4}}) {
    EXPECT_TRUE(holds(error_of([&] { options_of("qwen3", {{"layer_types", types}}); }), "key layer_types"));
  }
}

}  // namespace
}  // namespace finetune
