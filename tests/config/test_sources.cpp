// Entries of data.train and data.valid with names and weights, and the shares that follow from them.
#include <gtest/gtest.h>

#include "config/config.h"
#include "config/fields.h"
#include "config/node.h"
#include "config/params.h"
#include "core/error.h"

namespace finetune::testing {
namespace {

using Settings = std::vector<std::pair<std::string, std::string>>;
using Shares = std::vector<double>;

const std::pair<std::string, std::string> kTwo{"data.train",
                                               "[{path: a.jsonl, name: code, weight: 3}, {path: data/chat-de/}]"};

RunConfig load(const Settings& settings) {
  RunConfig config = load_config({.settings = settings});
  validate(config);
  return config;
}

std::string error_of(const Settings& settings) {
  try {
    load(settings);
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing was refused";
}

TEST(Sources, AreAPathOrAMapThatHasAName) {
  const RunConfig config = load({kTwo});
  ASSERT_EQ(config.data.train.size(), 2u);
  EXPECT_EQ(config.data.train[0].name, "code");
  EXPECT_EQ(config.data.train[0].weight, 3.0);
  EXPECT_EQ(config.data.train[1].name, "chat-de") << "by the path";
  EXPECT_EQ(load({{"data.train", "a.jsonl"}}).data.train[0].name, "");
  EXPECT_EQ(load({{"data.valid", "{path: dev set.tsv}"}}).data.valid[0].name, "dev_set");
}

TEST(Sources, WithoutAnyWeightAreNoMixture) {
  EXPECT_EQ(load({{"data.train", "[{path: a.jsonl}, {path: b.jsonl}]"}}).train.shares, Shares{});
}

TEST(Sources, HaveSharesByTheirWeightsAndByDataWeights) {
  EXPECT_EQ(load({kTwo}).train.shares, (Shares{0.75, 0.25}));
  EXPECT_EQ(load({kTwo, {"data.weights.code", "1"}}).train.shares, (Shares{0.5, 0.5}));
  EXPECT_EQ(load({kTwo, {"data.weights", "{chat-de: 12}"}}).train.shares, (Shares{0.2, 0.8}));
}

TEST(Sources, OfATrialFollowItsParameters) {
  const RunConfig config = load({kTwo, {"search.data.weights.code", "{low: 0.5, high: 9}"}});
  EXPECT_EQ(configure_trial(config, {{"data.weights.code", 0.25}}).shares, (Shares{0.2, 0.8}));
  EXPECT_EQ(searched_defaults(config), (Params{{"data.weights.code", 3.0}}));
  EXPECT_EQ(config.train.shares, (Shares{0.75, 0.25}));
}

TEST(Sources, ReadBackAsTheyArePrinted) {
  const RunConfig config = load({kTwo, {"data.weights.code", "0.125"}});
  const std::string printed = to_yaml(config);
  RunConfig back;
  for (const auto& [key, node] : parse_config("printed", printed).entries) set_key(back, key, node);
  EXPECT_EQ(to_yaml(back), printed);
}

TEST(Sources, ThatAreWrongAreNamed) {
  const std::vector<std::pair<Settings, std::string>> table{
      {{{"data.train", "[a.jsonl, {path: b.jsonl, weight: 0}]"}},
       "data.train[1].weight must be a number above 0, not 0"},
      {{{"data.train", "[{path: b.jsonl, weight: -1}]"}}, "data.train[0].weight must be a number above 0, not -1"},
      {{{"data.train", "[{path: b.jsonl, wieght: 1}]"}}, "unknown key data.train[0].wieght (did you mean weight?)"},
      {{{"data.train", "[{name: b}]"}}, "data.train[0] has no path; it is a path, or {path, weight, name}"},
      {{{"data.train", "[[a.jsonl]]"}}, "data.train[0] must be a path, or {path, weight, name}, not a list"},
      {{{"data.train", "[{path: a, name: a.b}]"}},
       "data.train[0].name is \"a.b\"; letters, digits, _ and - are possible"},
      {{{"data.train", "[{path: x/a.csv}, {path: y/a.csv}]"}},
       "data.train: two entries have the name a; give them names of their own"},
      {{{"data.valid", "[{path: v, weight: 2}]"}},
       "data.valid[0].weight has no meaning: only entries of data.train have weights"},
      {{{"data.valid", "[{path: v}, {path: w, name: v}]"}},
       "data.valid: two entries have the name v; give them names of their own"},
      {{kTwo, {"data.weights.cod", "1"}},
       "data.weights.cod: no entry of data.train has this name (did you mean code?); their names: code, chat-de"},
      {{{"data.train", "a.jsonl"}, {"data.weights.a", "1"}},
       "data.weights.a: no entry of data.train has this name; give entries as {path, name}"},
      {{kTwo, {"data.weights.code", "0"}}, "data.weights.code must be a number above 0, not 0"},
      {{kTwo, {"data.weights", "[1, 2]"}}, "data.weights must be a map of weights by name, not a list"},
      {{kTwo, {"search.data.weights.kode", "{low: 1, high: 2}"}},
       "search.data.weights.kode: no entry of data.train has this name (did you mean code?); their names: code, "
       "chat-de"},
      {{kTwo, {"search.data.weights.code", "{low: 0, high: 2}"}},
       "search.data.weights.code: data.weights.code must be a number above 0, not 0"}};
  for (const auto& [settings, message] : table)
    EXPECT_TRUE(error_of(settings).ends_with(message)) << error_of(settings);
}

}  // namespace
}  // namespace finetune::testing
