// Configurations: scalars, precedence, messages, and printing that reads back.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <limits>
#include <memory>

#include "config/config.h"
#include "config/fields.h"
#include "config/params.h"
#include "core/error.h"
#include "core/files.h"

namespace finetune::testing {
namespace {

namespace fs = std::filesystem;
using Settings = std::vector<std::pair<std::string, std::string>>;

// A configuration from the text of a file, and settings.
RunConfig load(const std::string& text, const Settings& settings = {}) {
  const fs::path path = fs::temp_directory_path() / ("finetune_config_" + std::to_string(getpid()) + ".yaml");
  write_file_atomically(path, text);
  ConfigSources sources{.file = path.string(), .settings = settings};
  const auto remove =
      std::unique_ptr<const fs::path, void (*)(const fs::path*)>(&path, [](auto* p) { fs::remove(*p); });
  RunConfig config = load_config(sources);
  validate(config);
  return config;
}

std::string error_of(const std::string& text, const Settings& settings = {}) {
  try {
    load(text, settings);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

#define EXPECT_HOLDS(text, part) EXPECT_TRUE(holds(text, part)) << (text)

TEST(Scalar, IsResolvedByTheCoreSchema) {
  using Text = std::string;
  const double infinity = std::numeric_limits<double>::infinity();
  const std::vector<std::pair<Text, Value>> table{{"3e-4", 3e-4},
                                                  {"010", std::int64_t{10}},
                                                  {"0o10", std::int64_t{8}},
                                                  {"0x1F", std::int64_t{31}},
                                                  {"+7", std::int64_t{7}},
                                                  {"-0", std::int64_t{0}},
                                                  {".5", 0.5},
                                                  {"5.", 5.0},
                                                  {"1E3", 1000.0},
                                                  {"+.5e1", 5.0},
                                                  {"1e400", infinity},
                                                  {"-1e400", -infinity},
                                                  {"1e-400", 0.0},
                                                  {".inf", infinity},
                                                  {"-.INF", -infinity},
                                                  {"true", true},
                                                  {"FALSE", false},
                                                  {"yes", Text("yes")},
                                                  {"on", Text("on")},
                                                  {"n", Text("n")},
                                                  {"off", Text("off")},
                                                  {"tRue", Text("tRue")},
                                                  {"1_000", Text("1_000")},
                                                  {"0b11", Text("0b11")},
                                                  {"1:30", Text("1:30")},
                                                  {"0O7", Text("0O7")},
                                                  {"1e", Text("1e")},
                                                  {".", Text(".")},
                                                  {"e5", Text("e5")},
                                                  {"-", Text("-")},
                                                  {"inf", Text("inf")},
                                                  {"9223372036854775807", std::int64_t{9223372036854775807}},
                                                  {"9223372036854775808", 9223372036854775808.0}};
  for (const auto& [text, value] : table) EXPECT_EQ(resolve_scalar(text), std::optional<Value>(value)) << text;
  for (const char* null : {"", "~", "null", "Null", "NULL"}) EXPECT_FALSE(resolve_scalar(null)) << null;
  EXPECT_EQ(resolve_scalar("nULL"), std::optional<Value>(Text("nULL")));
}

TEST(Scalar, AQuotedOneIsText) {
  const auto root = parse_config("f", "a: \"8\"\nb: '3e-4'\nc: |\n  x\nd: 8\n");
  EXPECT_EQ(root.find("a")->value, Value(std::string("8")));
  EXPECT_EQ(root.find("b")->value, Value(std::string("3e-4")));
  EXPECT_EQ(root.find("c")->value, Value(std::string("x\n")));
  EXPECT_EQ(root.find("d")->value, Value(std::int64_t{8}));
}

TEST(Config, SettingsWinOverTheFileAndTheLaterOverTheEarlier) {
  const auto config = load("train: {steps: 5, batch_size: 4}\n", {{"train.steps", "6"}, {"train.steps", "7"}});
  EXPECT_EQ(config.train.steps, 7);
  EXPECT_EQ(config.train.batch_size, 4);
  EXPECT_EQ(config.train.learning_rate, 3e-4);
  EXPECT_TRUE(config.is_given("train.steps"));
  EXPECT_FALSE(config.is_given("train.learning_rate"));
}

// A key that is searched only where the other has another value is not in its way.
TEST(Config, WhatDoesNotGoTogetherMayBeSearchedInTurns) {
  const auto problem = [](const std::string& when, const std::string& first = "[true, false]") {
    try {
      validate(load("search:\n  train.lora.dora: {choices: " + first +
                    "}\n  train.lora.init: {choices: [default, pissa]" + when + "}\n"));
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_HOLDS(problem(""), "train.lora.dora and train.lora.init: pissa do not go together");
  EXPECT_HOLDS(problem(", when: {train.lora.dora: [true]}"), "do not go together");
  EXPECT_HOLDS(problem(", when: {train.lora.dora: [true, false]}"), "do not go together");
  EXPECT_EQ(problem(", when: {train.lora.dora: [false]}"), "");
  EXPECT_EQ(problem("", "[false]"), "");
}

TEST(Config, ARateThatIsNotGivenIsTheUsualOne) {
  EXPECT_EQ(load("train: {method: full}\n").train.learning_rate, 3e-5);
  EXPECT_EQ(load("train: {objective: dpo}\n").train.learning_rate, 3e-5);
  EXPECT_EQ(load("train: {objective: kto, method: full}\n").train.learning_rate, 3e-6);
  EXPECT_EQ(load("train: {objective: kto, method: full, learning_rate: 1}\n").train.learning_rate, 1);
}

TEST(Config, ASettingIsTextUnlessItLooksLikeAList) {
  const auto config = load("", {{"model.path", "010"},
                                {"train.lora.targets", "[q_proj, v_proj]"},
                                {"data.prompt", "Q: {q}"},
                                {"data.fields", "{text: body}"}});
  EXPECT_EQ(config.model.path, "010");
  EXPECT_EQ(config.train.lora.targets, (std::vector<std::string>{"q_proj", "v_proj"}));
  EXPECT_EQ(config.data.prompt, "Q: {q}");
  EXPECT_EQ(config.data.fields.at("text"), "body");
}

TEST(Config, JsonIsReadWhereTheFileBeginsWithABrace) {
  EXPECT_EQ(load(R"({"train": {"learning_rate": 1e-3, "lora": {"rank": 4}}})").train.lora.rank, 4);
  EXPECT_HOLDS(error_of(R"({"train": {"steps": 1, "steps": 2}})"), "\"steps\" is repeated");
}

TEST(Config, AByteOrderMarkIsNoContent) {
  for (const std::string text : {"train: {steps: 7}\n", R"({"train": {"steps": 7}})"})
    EXPECT_EQ(load("\xEF\xBB\xBF" + text).train.steps, 7) << text;
}

TEST(Config, MessagesNameTheLineTheKeyAndTheNearest) {
  EXPECT_HOLDS(error_of("train:\n  learning_rat: 1\n"),
               ".yaml:2: unknown key train.learning_rat (did you mean train.learning_rate?)");
  EXPECT_HOLDS(error_of("trian: {steps: 3}\n"), "did you mean train?");
  EXPECT_HOLDS(error_of("train:\n  steps: 1\n  steps: 2\n"), ".yaml:3: key steps is repeated");
  EXPECT_HOLDS(error_of("train:\n  steps: many\n"),
               ".yaml:2: train.steps must be a whole number of at least 1, not many");
  EXPECT_HOLDS(error_of("train: {schedule: cosin}\n"), "allowed: linear, cosine, constant, wsd (did you mean cosine?)");
  EXPECT_HOLDS(error_of("", {{"train.beta1", "1"}}), "train.beta1 must be a number at least 0 and below 1, not 1");
  EXPECT_HOLDS(error_of("", {{"train.learning_rate", ".nan"}}), "train.learning_rate must be a number");
  EXPECT_HOLDS(error_of("train: [1]\n"), "train must be a map");
  EXPECT_HOLDS(error_of("- 1\n"), "must be a map of keys");
  EXPECT_HOLDS(error_of("a: [1\n"), "is not valid YAML");
  EXPECT_HOLDS(error_of("a: &x 1\nb: *x\n"), "anchors (&name) are not allowed");
  EXPECT_HOLDS(error_of("a: !!int 1\n"), "are not allowed");
  EXPECT_HOLDS(error_of("train: {steps: 1}\n---\ntrain: {steps: 2}\n"), "only one document");
  for (const std::size_t deep : {300, 100'000})
    EXPECT_HOLDS(error_of("a: " + std::string(deep, '[') + std::string(deep, ']')), "nested deeper than 32");
  EXPECT_EQ(to_yaml(parse_config("x", "a: '" + std::string(300, '[') + "'\n")),
            "a: \"" + std::string(300, '[') + "\"\n");
  EXPECT_HOLDS(error_of("train: {steps: 1, epochs: 2}\n"), "train.steps and train.epochs are both given");
  EXPECT_HOLDS(error_of("train.steps: 3\nrun:\n  devices: gpu\n"), ".yaml:3: run.devices: gpu is not a device");
  EXPECT_HOLDS(error_of("data: {\xff: 1}\n"), "UTF-8");
  EXPECT_HOLDS(error_of("train: {steps: 1}\ndata: {a: \x01}\n"), ".yaml:2: holds a control character");
  EXPECT_HOLDS(error_of("\ndata: {prompt: \"\\ud800\"}\n"), ".yaml:2: ");  // a lone surrogate
}

TEST(Config, SearchIsCheckedAgainstTheKeysItSearches) {
  EXPECT_HOLDS(error_of("search: {train.lora.rank: {low: 1, high: 8}}\n"), "add int: true");
  EXPECT_HOLDS(error_of("search: {train.learning_rate: {low: 1, high: 0.1}}\n"), "low 1 is above high 0.1");
  EXPECT_HOLDS(error_of("search: {train.learning_rate: {low: 0, high: 0.1, log: true}}\n"), "low must be above 0");
  EXPECT_HOLDS(error_of("search: {train.schedule: {choices: [linear, cosin]}}\n"), "did you mean cosine?");
  EXPECT_HOLDS(error_of("search: {train.beta1: {choices: [0.9, 0.9]}}\n"), "holds 0.9 twice");
  EXPECT_HOLDS(error_of("search: {train.steps: {choices: [1, 2]}}\n"), "cannot be searched");
  EXPECT_HOLDS(error_of("search: {data.max_length: {choices: [1, 2]}}\n"),
               "only keys of train can be searched, and data.weights.NAME");
  EXPECT_HOLDS(error_of("search: {train.beta1: {low: 0.1, hihg: 0.9}}\n"), "did you mean high?");
  for (const char* constraint : {"search: {constraints: ['train.beta1 < train.beta2']}\n",
                                 "search: {train.beta1: {low: 0.1, high: 0.9, constraint: 'x < y'}}\n"})
    EXPECT_HOLDS(error_of(constraint), "constraints between parameters are not supported");
  EXPECT_HOLDS(error_of("search: {train.lora.targets: {low: 1, high: 2}}\n"), "is not a number; give choices");
}

TEST(Search, AChoiceTwiceIsToldInEveryNotation) {
  for (const char* list : {"[8, 8]", "[8, 8.0]", "[0.0003, 3e-4]", "[16, 0x10]"})
    EXPECT_HOLDS(error_of("search: {train.batch_size: {choices: " + std::string(list) + "}}\n"), "twice") << list;
}

TEST(Config, EndsOfRangesAreAllowedOrNotAsTheHelpSays) {
  EXPECT_HOLDS(error_of("train: {learning_rate: 0}\n"), "train.learning_rate must be a number above 0, not 0");
  EXPECT_HOLDS(error_of("train: {beta1: 1}\n"), "train.beta1 must be a number at least 0 and below 1, not 1");
  EXPECT_HOLDS(error_of("train: {lora: {rank: 65537}}\n"), "must be a whole number of at least 1 and at most 65536");
  EXPECT_EQ(load("train: {lora: {rank: 65536}, beta1: 0, warmup_ratio: 1}\n").train.lora.rank, 65536);
  EXPECT_HOLDS(error_of("tune: {trials: 0}\n"), "at least 1");
}

TEST(Config, AMethodStandsForBothPartsOfATuner) {
  EXPECT_HOLDS(error_of("tune: {method: bohb, sampler: tpe}\n"), "tune.method stands for sampler and scheduler");
  EXPECT_HOLDS(error_of("tune: {method: bohb, scheduler: asha}\n"), "tune.method stands for sampler and scheduler");
}

TEST(Config, AlphaFollowsTheRank) {
  auto config = load("train: {lora: {rank: 4, alpha_over_rank: 2}}\n");
  EXPECT_EQ(config.train.lora.alpha, 8);
  apply_params(config, {{"train.lora.rank", std::int64_t{16}}});
  EXPECT_EQ(config.train.lora.alpha, 32);
  apply_params(config, {{"train.lora.alpha", 5.0}, {"train.lora.rank", std::int64_t{2}}});
  EXPECT_EQ(config.train.lora.alpha, 5);
  EXPECT_HOLDS(error_of("train: {lora: {alpha: 4, alpha_over_rank: 2}}\n"), "both given");
}

// A value that every key takes, none of them the default.
std::string other_value(const std::string& key) {
  static const std::vector<std::pair<std::string, std::string>> kSpecial{
      {"model.dtype", "bfloat16"},
      {"study.url", "postgresql://me@host/db"},
      {"model.quantize", "int8"},
      {"model.double_quantize", "true"},
      {"data.train", "[a.jsonl, {path: 'b c.csv', name: b, weight: 0.5}]"},
      {"data.weights", "{b: 0.25, code: 2.0}"},
      {"data.valid", "v.txt"},
      {"data.format", "alpaca"},
      {"data.fields", "{prompt: question, text: '8'}"},
      {"data.prompt", "\"Q: {q}\\nA:\""},
      {"data.completion", "\" {a}\""},
      {"data.truncate", "drop"},
      {"data.train_on", "all"},
      {"data.shuffle", "false"},
      {"data.append_eos", "false"},
      {"data.date", "2026-01-02"},
      {"data.separator", "\"---\\n\""},
      {"train.method", "full"},
      {"train.objective", "dpo"},
      {"train.schedule", "wsd"},
      {"train.lora.targets", "[q_proj, k_proj]"},
      {"train.lora.rslora", "true"},
      {"train.lora.dora", "true"},
      {"train.lora.init", "pissa"},
      {"train.lora.rank_pattern", "{'.*\\.q_proj': 3, \"layers\\\\.0.*\": 12}"},
      {"train.lora.alpha_pattern", "{down_proj: 0.125}"},
      {"train.lora.modules_to_save", "[embed_tokens, lm_head]"},
      {"model.path", "\"010\""},
      {"train.changes", "[{step: 3, learning_rate: 1e-05, schedule: cosine}, {step: 9, beta1: 0.25}]"},
      {"tune.sampler", "{name: random, startup: 7}"},
      {"tune.scheduler", "{name: asha, min_steps: 2}"},
      {"tune.enqueue", "[{train.learning_rate: 0.0003}, {train.lora.rank: 8}]"},
      {"tune.method", "bohb"},
      {"tune.metric", "perplexity"},
      {"tune.rung_metric", "same"},
      {"tune.confirm", "null"},
      {"tune.audit", "0.25"},
      {"tune.ablation", "true"},
      {"run.profile", "true"},
      {"tune.eval_share", "0.5"},
      {"run.metrics", "[macro_f1, perplexity]"},
      {"tune.direction", "maximize"},
      {"run.devices", "[cpu, 'cuda:0']"},
      {"run.numerics", "fast"},
      {"run.kernels", "composition"},
      {"tune.concurrent", "3"},
      {"run.tokens_per_pass", "64"},
      {"data.max_length", "77"}};
  for (const auto& [name, value] : kSpecial) {
    if (name == key) return value;
  }
  for (const char* text : {"model.adapter", "data.template", "run.out"}) {
    if (key == text) return "\"some: 'text' \\u00e9\"";
  }
  for (const char* share : {"ratio", "fraction", "beta1", "beta2", "epsilon", "dropout", "rate"}) {
    if (key.ends_with(share)) return "0.123456789012345678";
  }
  return "3";
}

TEST(Config, EveryKeyReadsBackAsItIsPrinted) {
  for (const auto& field : config_fields()) {
    RunConfig config;
    if (field.key == "study.worker") config.study.url = "postgresql://me@host/db";  // without one there is none
    set_key(config, field.key, parse_config("f", "v: " + other_value(field.key)).entries.front().second);
    resolve_alpha(config.train.lora);
    resolve_shares(config);
    const std::string printed = to_yaml(config);
    EXPECT_NE(printed, to_yaml(RunConfig{})) << field.key << " is not printed";
    RunConfig back;
    const ConfigNode root = parse_config("printed", printed);
    for (const auto& [key, node] : root.entries) set_key(back, key, node);
    resolve_alpha(back.train.lora);
    EXPECT_EQ(to_yaml(back), printed) << field.key;
    ASSERT_TRUE(field.get(back)) << field.key;
    EXPECT_EQ(finetune::to_yaml(*field.get(back)), finetune::to_yaml(*field.get(config))) << field.key;
  }
}

TEST(Config, ASearchReadsBackAsItIsPrinted) {
  const std::string text =
      "search:\n  train.learning_rate: {low: 2e-5, high: 2e-3, log: true}\n  train.lora.rank: {choices: [8, 16]}\n"
      "  train.lora.dropout: {low: 0, high: 0.5, step: 0.1, when: {train.lora.rank: [16]}}\n"
      "  train.batch_size: {low: 1, high: 9, int: true}\n  train.schedule: {choices: [linear, 'constant']}\n";
  const RunConfig config = load(text);
  const std::string printed = to_yaml(config);
  EXPECT_EQ(to_yaml(load(printed)), printed);
  ASSERT_EQ(load(printed).search.size(), 5u);
  EXPECT_EQ(load(printed).search[2].when[0].second[0], Value(std::int64_t{16}));
}

TEST(Search, AnOrdinalAndAStartAreReadAndPrinted) {
  const std::string text =
      "search:\n  train.lora.rank: {type: ordinal, choices: [8, 16], start: 16}\n"
      "  train.learning_rate: {low: 1e-5, high: 1e-3, start: 3e-4}\n";
  const RunConfig config = load(text);
  EXPECT_TRUE(config.search[0].ordinal);
  EXPECT_EQ(config.search[0].start, Value(std::int64_t{16}));
  EXPECT_EQ(config.search[1].start, Value(3e-4));
  const RunConfig again = load(to_yaml(config));
  EXPECT_TRUE(again.search[0].ordinal);
  EXPECT_EQ(again.search[1].start, Value(3e-4));
  EXPECT_FALSE(load("search: {train.lora.rank: {type: categorical, choices: [8, 16]}}").search[0].ordinal);
  EXPECT_HOLDS(error_of("search: {train.lora.rank: {type: ordinl, choices: [8]}}"), "allowed: categorical, ordinal");
  EXPECT_HOLDS(error_of("search: {train.learning_rate: {type: ordinal, low: 1e-5, high: 1e-3}}"), "for choices");
  EXPECT_HOLDS(error_of("search: {train.learning_rate: {low: 1e-5, high: 1e-3, start: [1e-4]}}"), "single value");
}

TEST(Config, APatternGivenBySetIsTheTextThatWasWritten) {
  for (const std::string pattern : {"{question}", "[INST] {question} [/INST]", "{system}: {question}", "a {b} c"}) {
    EXPECT_EQ(load("", {{"data.prompt", pattern}}).data.prompt, pattern);
  }
  EXPECT_EQ(load("", {{"data.prompt", R"("quoted\n")"}}).data.prompt, "quoted\n");
  EXPECT_EQ(load("", {{"train.lora.targets", "[q_proj, v_proj]"}}).train.lora.targets.size(), 2u) << "a list stays one";
}

}  // namespace
}  // namespace finetune::testing
