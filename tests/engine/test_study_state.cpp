// A study's state is all there is: written after any round, read into a fresh study, it goes on as if nothing had
// happened. Whatever a tuner, a lane or the loop remembered beside it would show here.
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>

#include "engine/study_json.h"
#include "support/fake_lane.h"

namespace finetune::testing {
namespace {

using Json = nlohmann::ordered_json;

// A study with its images by name, as text: what a folder would hold.
struct Kept {
  std::string study;
  std::map<std::string, std::string> images;
  bool operator==(const Kept&) const = default;
};

Kept keep(const StudyState& state) {
  Kept kept;
  const auto name = [&](const std::shared_ptr<const TrialImage>& image) {
    const ImageParts parts = image->parts();
    const auto& weights = parts.arrays.front().second;
    const Json text = {{"values", parts.values}, {"weights", std::vector<float>(weights.begin(), weights.end())}};
    const std::string key = text.dump();
    kept.images[key] = key;
    return key;
  };
  kept.study = to_json(state, name).dump();
  return kept;
}

StudyState read(const Kept& kept, const std::vector<Lane*>& lanes) {
  const auto find = [&](const std::string& name) {
    const Json text = Json::parse(kept.images.at(name));
    const auto weights = text.at("weights").get<std::vector<float>>();
    return lanes.front()->image_of({.arrays = {{"weights", weights}}, .values = text.at("values")});
  };
  return study_from_json(Json::parse(kept.study), lanes.size(), find);
}

struct Setup {
  std::string sampler, scheduler;
  std::size_t lanes = 1, lag = 0;
  std::int64_t ahead = 0;
};

std::string text_of(const Setup& setup) {
  return setup.sampler + "_" + setup.scheduler + "_" + std::to_string(setup.lanes) + "_" + std::to_string(setup.lag) +
         (setup.ahead > 0 ? "_ahead" : "");
}

std::ostream& operator<<(std::ostream& out, const Setup& setup) {
  return out << text_of(setup);
}

// Keeps every round.
struct Trace : StudySaver {
  bool wants_save(std::int64_t, bool, bool) override { return true; }
  void save(const StudyState& snapshot) override { rounds.push_back(keep(snapshot)); }
  void not_saved(std::int64_t round) override { ADD_FAILURE() << round; }
  std::vector<Kept> rounds;
};

Params scheduler_options(const std::string& scheduler) {
  if (scheduler == "threshold") return {{"upper", 0.9}};
  if (scheduler == "pbt" || scheduler == "pb2") return {{"interval", std::int64_t{3}}};
  if (scheduler == "replay") return {{"schedule", std::string("2 learning_rate=0.3,5 learning_rate=0.1")}};
  return {};
}

struct Played {
  StudyResult result;
  std::vector<Kept> rounds;
};

constexpr std::int64_t kSteps = 9, kTrials = 14;

Played play(const Setup& setup, const Kept* from) {
  const bool grid = setup.sampler == "grid";
  const SearchSpace space{{{.name = "learning_rate",
                            .low = grid ? 0.1 : 0.01,
                            .high = 0.9,
                            .log = !grid,
                            .step = grid ? std::optional(0.1) : std::nullopt},
                           {.name = "rank", .choices = {std::int64_t{8}, std::int64_t{16}}, .ordinal = true}}};
  TunerOptions options{.trials = kTrials, .max_steps = kSteps, .concurrent = 5, .default_min_steps = 1};
  Tuner tuner(options, make_sampler(setup.sampler, {{}, space, 3}),
              make_scheduler(setup.scheduler, {scheduler_options(setup.scheduler), space, options}));
  std::vector<FakeLane> lanes(setup.lanes, FakeLane(setup.lanes == 1 ? 6 : 3));
  for (FakeLane& lane : lanes) {  // one that never starts, and some that end for want of memory
    lane.refused = {{2}};
    lane.misfit_at = {{{4}, 1}, {{7}, 3}};
    lane.cannot_evaluate = {{9}};
  }
  std::vector<Lane*> pointers;
  for (FakeLane& lane : lanes) pointers.push_back(&lane);
  Trace trace;
  StudyOptions study = options_for(kSteps);
  study.configure = [](const Params& params) {
    TrainConfig config;
    config.steps = kSteps;
    const Value* rate = find_param(params, "learning_rate");
    config.learning_rate = rate ? as_number(*rate) : 0.01;
    return config;
  };
  study.lag = setup.lag;
  study.ahead = setup.ahead;
  study.after = {.confirm = ConfirmConfig{.top = 2, .seeds = 2},
                 .audit = 0.5,
                 .ablation = true,
                 .judged = 2,
                 .defaults = {{"learning_rate", 0.02}, {"rank", std::int64_t{32}}}};
  study.savers = {&trace};
  Study loop(study, tuner, pointers, {});
  StudyResult result = from ? loop.resume(read(*from, pointers)) : loop.run();
  return {std::move(result), std::move(trace.rounds)};
}

std::string outcome(const StudyResult& result) {
  StudyState state{.trials = result.trials,
                   .default_run = result.default_run,
                   .base_metric = result.base_metric,
                   .steps = result.steps,
                   .tokens = result.tokens,
                   .rounds = result.rounds};
  return keep(state).study + to_text(result.ended) + std::to_string(result.best.value_or(99));
}

std::vector<Setup> all_setups() {
  std::vector<Setup> setups;
  for (const auto& sampler : sampler_names()) {
    if (sampler != "random") setups.push_back({sampler, "hyperband"});
  }
  for (const auto& scheduler : scheduler_names()) {
    setups.push_back({"random", scheduler});
    setups.push_back({"random", scheduler, 2, 1});
    setups.push_back({"random", scheduler, 2, 0, 8});
  }
  return setups;
}

class EveryStudy : public ::testing::TestWithParam<Setup> {};

TEST_P(EveryStudy, GoesOnFromEveryRoundAsIfNothingHadHappened) {
  const Played whole = play(GetParam(), nullptr);
  const std::string expected = outcome(whole.result);
  ASSERT_GT(whole.rounds.size(), 8u);
  for (std::size_t k = 0; k < whole.rounds.size(); k += 3) {
    const Played resumed = play(GetParam(), &whole.rounds[k]);
    ASSERT_EQ(resumed.rounds.size(), whole.rounds.size() - k - 1) << "from round " << k;
    for (std::size_t later = 0; later < resumed.rounds.size(); ++later) {
      ASSERT_EQ(resumed.rounds[later].study, whole.rounds[k + 1 + later].study)
          << "from round " << k << ", first difference after round " << k + 1 + later;
      ASSERT_EQ(resumed.rounds[later].images, whole.rounds[k + 1 + later].images);
    }
    ASSERT_EQ(outcome(resumed.result), expected) << "from round " << k;
  }
}

INSTANTIATE_TEST_SUITE_P(Registry, EveryStudy, ::testing::ValuesIn(all_setups()),
                         [](const auto& info) { return text_of(info.param); });

TEST(StudyState, ReadAndWrittenAgainIsTheSame) {
  const Played whole = play({"tpe", "pbt"}, nullptr);
  FakeLane lane(3);
  const std::vector<Lane*> lanes{&lane};
  for (const Kept& kept : whole.rounds) EXPECT_EQ(keep(read(kept, lanes)), kept);
}

TEST(StudyState, WhatIsDamagedIsRefusedByName) {
  const Played whole = play({"random", "asha"}, nullptr);
  FakeLane lane(3);
  const std::vector<Lane*> lanes{&lane};
  const auto complaint = [&](const std::function<void(Json&)>& damage) -> std::string {
    Kept kept = whole.rounds.at(3);
    Json study = Json::parse(kept.study);
    damage(study);
    kept.study = study.dump();
    try {
      read(kept, lanes);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(complaint([](Json&) {}), "");
  EXPECT_EQ(complaint([](Json& j) { j.erase("trials"); }), "trials is damaged");
  EXPECT_EQ(complaint([](Json& j) { j["trials"][1].erase("params"); }), "trial 1 is damaged");
  EXPECT_EQ(complaint([](Json& j) { j["trials"][1]["id"] = 0; }), "trial 1: is out of order");
  EXPECT_EQ(complaint([](Json& j) { j["trials"][2]["lane"] = 1; }), "trial 2: its lane is not there");
  EXPECT_EQ(complaint([](Json& j) { j["trials"][2]["state"] = "asleep"; }), "trial 2: unknown word asleep");
  const std::string no_whole = "the study: a whole number is missing";
  EXPECT_EQ(complaint([](Json& j) { j["rounds"] = "many"; }), no_whole);
  EXPECT_EQ(complaint([](Json& j) { j["rounds"] = 1e300; }), no_whole);
  EXPECT_EQ(complaint([](Json& j) { j["tokens"] = 1ULL << 63; }), no_whole);
  EXPECT_EQ(complaint([](Json& j) { j["trials"][1]["step"] = 1.5; }), "trial 1: a whole number is missing");
  EXPECT_EQ(complaint([](Json& j) { j["trials"][2]["lane"] = -1; }), "trial 2: an index is negative");
  const Json round = Json::parse(
      R"([{"number": 9, "trials": [0], "lanes": [1], "tokens": [10], "metrics": [], "steps": [{"step": 1, "tokens": 10,
           "train_loss": 1, "gradient_norm": 1, "learning_rate": 1, "finite": true, "failure": ""}]}])");
  EXPECT_EQ(complaint([&](Json& j) { j["in_flight"] = round; }),
            "the study: a round under way has a lane that is not there");
  EXPECT_EQ(complaint([](Json& j) { j["tokens_per_pass"] = {1, 2}; }), "the study: has another number of lanes");
  EXPECT_EQ(complaint([](Json& j) { j["search_ended"] = "soon"; }), "the study: unknown word soon");
  const auto after = [](const char* key, const Json& value) {
    return [key, value](Json& j) {
      Json run{
          {"kind", "confirm"},        {"of", 0},          {"seed_added", 1},        {"parameter", ""}, {"stop_at", 3},
          {"changes", Json::array()}, {"started", false}, {"trial", j["trials"][0]}};
      run["trial"]["id"] = -2;
      run["trial"]["resident"] = false;
      run["trial"]["image"] = nullptr;
      run[key] = value;
      j["search_ended"] = "exhausted";
      j["extras"] = Json::array({run});
    };
  };
  EXPECT_EQ(complaint(after("seed_added", 1)), "");
  EXPECT_EQ(complaint(after("kind", "guess")), "the study: unknown word guess");
  EXPECT_EQ(complaint(after("kind", "audit")), "the study: has no weights to go on with");
  for (const Json& of : {Json(99), Json(-1), Json()})
    EXPECT_EQ(complaint(after("of", of)), "the study: names a trial that is not there");
  EXPECT_EQ(complaint(after("stop_at", 0)), "the study: it stops before its first step");
  EXPECT_EQ(complaint([&](Json& j) {
              after("seed_added", 1)(j);
              j["search_ended"] = nullptr;
            }),
            "the study: has runs after a search that goes on");
  EXPECT_EQ(
      complaint([](Json& j) {
        j["waiting"] = {{{"trial", 99}, {"do", "resume"}, {"params", Json::object()}, {"from", -1}, {"reason", ""}}};
      }),
      "the study: names a trial that is not there");
}

TEST(StudyState, WhatLanesHaveDoneAheadHasToBeThere) {
  const Played whole = play({"random", "asha", 2, 0, 8}, nullptr);
  FakeLane first(3), second(3);
  const std::vector<Lane*> lanes{&first, &second};
  const auto complaint = [&](const Kept& kept, const std::function<void(Json&)>& damage) -> std::string {
    Json study = Json::parse(kept.study);
    damage(study["in_flight"]);
    try {
      read({study.dump(), kept.images}, lanes);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  const auto is_ahead = [](const Kept& kept) { return !Json::parse(kept.study).at("in_flight").empty(); };
  const auto kept = std::ranges::find_if(whole.rounds, is_ahead);
  ASSERT_NE(kept, whole.rounds.end());
  EXPECT_EQ(complaint(*kept, [](Json&) {}), "");
  EXPECT_EQ(complaint(*kept, [](Json& j) { j.clear(); }), "the study: steps under way are missing");
  EXPECT_EQ(complaint(*kept, [](Json& j) { j[0]["number"] = 99; }), "the study: rounds under way are not in a row");
}

TEST(StudyState, ATunerOfOtherTrialsIsRefused) {
  Kept kept = play({"random", "asha"}, nullptr).rounds.at(3);
  Json study = Json::parse(kept.study);
  study["tuner"]["trials"].erase(0);
  kept.study = study.dump();
  EXPECT_THROW(play({"random", "asha"}, &kept), Error);
}

}  // namespace
}  // namespace finetune::testing
