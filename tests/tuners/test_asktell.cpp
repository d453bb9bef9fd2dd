// The asktell protocol: requests and the exact answers; what must not change an answer; what a bad line must not do.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "core/files.h"
#include "tuners/asktell_play.h"

namespace finetune::testing {
namespace {

namespace fs = std::filesystem;

Params options_for(const std::string& scheduler) {
  if (scheduler == "threshold") return {{"upper", 0.9}};
  if (scheduler == "pbt" || scheduler == "pb2") return {{"interval", std::int64_t{3}}};
  if (scheduler == "replay") return {{"schedule", std::string("2 depth=3,5 depth=7")}};
  return {};
}

class File {
 public:
  File() : path_(fs::temp_directory_path() / ("finetune_asktell_" + std::to_string(getpid()))) {}
  ~File() { fs::remove(path_); }
  std::string path() const { return path_.string(); }
  std::string save() const { return Json{{"save", path()}}.dump(); }
  std::string load() const { return Json{{"load", path()}}.dump(); }

 private:
  fs::path path_;
};

bool is_error(const std::string& answer) {
  const Json json = Json::parse(answer);
  return json.size() == 1 && json.contains("error") && !json.at("error").get<std::string>().empty();
}

TEST(AskTell, AnswersAreExactlyThese) {
  AskTellSession session = session_of({.scheduler = "threshold", .options = {{"upper", 5.0}}, .trials = 5});
  const std::vector<std::pair<std::string, std::string>> table{
      {R"({"best":1})", R"({"best":null})"},
      {R"({"rungs":1})", R"({"interval":1})"},
      {R"({"report":[{"id":1,"step":1,"value":9},{"step":1,"value":2,"id":0}]})",
       R"({"actions":[{"id":1,"do":"stop"}]})"},
      {R"({"best":1})", R"(0 2.0)"},
      {R"({"report":[{"id":2,"step":1,"value":"nan"}]})", R"({"actions":[{"id":2,"do":"stop"}]})"},
      {R"({"report":[]})", R"({"actions":[]})"},
      {R"({"report":[{"id":0,"step":3,"value":-0.5}]})", R"({"actions":[]})"},
      {R"({"tell":[{"id":0,"value":-0.5}]})", R"({"ok":true})"},
      {R"({"best":1})", R"(0 -0.5)"},
      {R"({"tell":[{"id":4,"value":-1},{"id":3,"state":"failed"}]})", R"({"ok":true})"},
      {R"({"best":1})", R"(4 -1.0)"},
      {R"({"ask":1})", R"({"trials":[],"done":true})"}};
  EXPECT_EQ(Json::parse(session.answer(R"({"ask":3})")).at("trials").size(), 3u);
  EXPECT_EQ(Json::parse(session.answer(R"({"ask":9})")).at("trials").size(), 2u) << "five trials in all";
  for (const auto& [request, expected] : table) {
    const std::string answer = session.answer(request);
    if (expected.front() == '{') {
      EXPECT_EQ(answer, expected) << request;
      continue;
    }
    const Json best = Json::parse(answer).at("best");
    EXPECT_EQ(best.at("id").dump() + " " + best.at("value").dump(), expected) << request;
    EXPECT_TRUE(best.at("params").contains("depth"));
  }
}

TEST(AskTell, ChoicesKeepTheirTypesAndInactiveParametersAreAbsent) {
  AskTellSession session = session_of({.sampler = "grid", .trials = 100});
  std::string kinds;
  const Json asked = Json::parse(session.answer(R"({"ask":100})"));
  for (const auto& trial : asked.at("trials")) {
    const Json& params = trial.at("params");
    EXPECT_EQ(params.contains("only a"), params.at("kind") == "a");
    if (params.at("depth") == 1) kinds += params.at("kind").dump();
  }
  EXPECT_EQ(kinds, R"("a""a""8"8true)");
  // Four kinds and five depths; kind a twice for its own parameter.
  EXPECT_EQ(asked.at("trials").size(), 25u);
  EXPECT_EQ(session.answer(R"({"ask":1})"), R"({"trials":[],"done":true})");
}

// Trials: 0 running at step 2, 1 stopped, 2 completed by reports and told, 3 running, 4 failed, 5 told.
AskTellSession busy_session() {
  AskTellSession session = session_of({.scheduler = "threshold", .options = {{"upper", 5.0}}, .trials = 9});
  session.answer(R"({"ask":6})");
  session.answer(R"({"report":[{"id":0,"step":2,"value":1},{"id":1,"step":1,"value":9},{"id":2,"step":3,"value":2}]})");
  session.answer(R"({"report":[{"id":4,"step":1,"value":"-inf"}]})");
  session.answer(R"({"tell":[{"id":2,"value":2},{"id":5,"value":3}]})");
  return session;
}

TEST(AskTell, ABadLineIsAnsweredByAnErrorAndChangesNothing) {
  const File file;
  const std::vector<std::string> bad{
      "",
      "ask",
      "[]",
      "1",
      "null",
      "{}",
      R"({"ask":1} {"ask":1})",
      R"({"ask":1,"best":1})",
      R"({"ask":1,"ask":1})",
      R"({"ask":1,"note":2})",
      R"({"aks":1})",
      R"({"ask":0})",
      R"({"ask":-1})",
      R"({"ask":1.5})",
      R"({"ask":"1"})",
      R"({"ask":true})",
      R"({"ask":null})",
      R"({"ask":18446744073709551615})",
      R"({"best":2})",
      R"({"best":null})",
      R"({"rungs":2})",
      R"({"report":{"id":0,"step":3,"value":1}})",
      R"({"report":[1]})",
      R"({"report":[{"id":0,"step":3}]})",
      R"({"report":[{"id":0,"value":1}]})",
      R"({"report":[{"step":3,"value":1}]})",
      R"({"report":[{"id":0,"step":3,"value":1,"loss":1}]})",
      R"({"report":[{"id":0,"id":3,"step":3,"value":1}]})",
      R"({"report":[{"id":0,"step":3,"value":NaN}]})",
      R"({"report":[{"id":0,"step":3,"value":Infinity}]})",
      R"({"report":[{"id":0,"step":3,"value":-Infinity}]})",
      R"({"report":[{"id":0,"step":3,"value":nan}]})",
      R"({"report":[{"id":0,"step":3,"value":1e999}]})",
      R"({"report":[{"id":0,"step":3,"value":"NaN"}]})",
      R"({"report":[{"id":0,"step":3,"value":"1"}]})",
      R"({"report":[{"id":0,"step":3,"value":null}]})",
      R"({"report":[{"id":0,"step":3,"value":true}]})",
      R"({"report":[{"id":0,"step":2,"value":1}]})",
      R"({"report":[{"id":0,"step":1,"value":1}]})",
      R"({"report":[{"id":0,"step":0,"value":1}]})",
      R"({"report":[{"id":0,"step":4,"value":1}]})",
      R"({"report":[{"id":0,"step":2.5,"value":1}]})",
      R"({"report":[{"id":6,"step":1,"value":1}]})",
      R"({"report":[{"id":-1,"step":1,"value":1}]})",
      R"({"report":[{"id":1,"step":2,"value":1}]})",
      R"({"report":[{"id":2,"step":3,"value":1}]})",
      R"({"report":[{"id":4,"step":2,"value":1}]})",
      R"({"report":[{"id":5,"step":3,"value":1}]})",
      R"({"report":[{"id":0,"step":3,"value":1},{"id":0,"step":3,"value":1}]})",
      R"({"report":[{"id":3,"step":1,"value":1},{"id":6,"step":1,"value":1}]})",
      R"({"tell":{"id":0,"value":1}})",
      R"({"tell":[{"id":0}]})",
      R"({"tell":[{"value":0}]})",
      R"({"tell":[{"id":0,"state":"completed"}]})",
      R"({"tell":[{"id":0,"state":"dancing","value":1}]})",
      R"({"tell":[{"id":0,"state":"failed","value":1}]})",
      R"({"tell":[{"id":0,"state":1,"value":1}]})",
      R"({"tell":[{"id":0,"value":1,"step":3}]})",
      R"({"tell":[{"id":1,"value":1}]})",
      R"({"tell":[{"id":2,"value":2}]})",
      R"({"tell":[{"id":4,"state":"failed"}]})",
      R"({"tell":[{"id":5,"value":3}]})",
      R"({"tell":[{"id":0,"value":1},{"id":0,"value":1}]})",
      R"({"tell":[{"id":3,"value":1},{"id":1,"value":1}]})",
      R"({"save":1})",
      R"({"save":""})",
      R"({"save":"/no such folder/state"})",
      R"({"load":"/no such file"})",
      R"({"load":"."})",
      "{\"ask\":1\xff}",
      "{\"\xc3\x28\":1}",
      std::string("{\"ask\":1}\0", 10),
      std::string(100'000, '['),
  };
  AskTellSession session = busy_session();
  session.answer(file.save());
  const std::string before = read_file(file.path());
  for (const auto& line : bad) {
    const std::string answer = session.answer(line);
    EXPECT_TRUE(is_error(answer)) << line.substr(0, 100) << " -> " << answer;
    EXPECT_EQ(answer.find('\n'), std::string::npos) << line;
  }
  session.answer(file.save());
  EXPECT_EQ(read_file(file.path()), before);
  AskTellSession loaded = session_of({.scheduler = "threshold", .options = {{"upper", 5.0}}, .trials = 9});
  EXPECT_EQ(loaded.answer(file.load()), R"({"ok":true})");
  EXPECT_TRUE(is_error(loaded.answer(R"({"tell":[{"id":2,"value":2}]})"))) << "told before the save";
}

TEST(AskTell, AnErrorNamesWhatIsWrong) {
  AskTellSession session = busy_session();
  const auto says = [&](const std::string& line, const std::string& word) {
    EXPECT_NE(session.answer(line).find(word), std::string::npos) << line << " -> " << session.answer(line);
  };
  says(R"({"aks":1})", "did you mean ask?");
  says(R"({"report":[{"id":0,"step":2,"value":1}]})", "step 2 comes after step 2");
  says(R"({"report":[{"id":0,"step":4,"value":1}]})", "tune.steps = 3");
  says(R"({"report":[{"id":1,"step":2,"value":1}]})", "trial 1 is stopped");
  says(R"({"ask":1,"ask":1})", "is repeated");
}

TEST(AskTell, RungsSayWhereTrialsAreCompared) {
  const auto rungs = [](const std::string& scheduler) {
    return session_of({.scheduler = scheduler, .steps = 10}).answer(R"({"rungs":1})");
  };
  EXPECT_EQ(rungs("asha"), R"({"rungs":[1,3,9]})");
  EXPECT_EQ(rungs("none"), R"({"rungs":[]})");
  EXPECT_EQ(rungs("median"), R"({"interval":1})");
}

TEST(AskTell, ATellWithoutReportsIsAFullBudgetResult) {
  AskTellSession session = session_of({.trials = 3, .steps = 9, .budget_steps = 18});
  session.answer(R"({"ask":3})");
  session.answer(R"({"report":[{"id":0,"step":8,"value":0.1}]})");
  // 8 steps of trial 0 and the 9 of trial 1: one is left.
  EXPECT_EQ(session.answer(R"({"tell":[{"id":1,"value":0.7}]})"), R"({"ok":true})");
  EXPECT_EQ(Json::parse(session.answer(R"({"best":1})")).at("best").at("id"), 1) << "the highest step counts first";
  EXPECT_EQ(session.answer(R"({"report":[{"id":2,"step":1,"value":0.1}]})"),
            R"({"actions":[{"id":0,"do":"stop"},{"id":2,"do":"stop"}]})");
  EXPECT_EQ(session.answer(R"({"ask":1})"), R"({"trials":[],"done":true})");
}

TEST(AskTell, AskWaitsForAFreeSlotWithoutBeingDone) {
  AskTellSession session = session_of({.trials = 3, .concurrent = 2});
  EXPECT_EQ(Json::parse(session.answer(R"({"ask":5})")).at("trials").size(), 2u);
  EXPECT_EQ(session.answer(R"({"ask":1})"), R"({"trials":[]})");
  session.answer(R"({"tell":[{"id":0,"state":"failed"}]})");
  const Json last = Json::parse(session.answer(R"({"ask":5})"));
  EXPECT_EQ(last.at("trials").size(), 1u);
  EXPECT_FALSE(last.contains("done")) << "only with an empty list";
  EXPECT_EQ(session.answer(R"({"ask":1})"), R"({"trials":[],"done":true})");
}

TEST(AskTell, ATargetAndPatienceEndTheStudy) {
  AskTellSession target = session_of({.trials = 9, .target = 0.5, .direction = Direction::maximize});
  target.answer(R"({"ask":3})");
  EXPECT_EQ(target.answer(R"({"report":[{"id":0,"step":1,"value":0.9}]})"), R"({"actions":[]})") << "not complete";
  EXPECT_EQ(target.answer(R"({"tell":[{"id":1,"value":0.4}]})"), R"({"ok":true})");
  EXPECT_EQ(target.answer(R"({"tell":[{"id":0,"value":0.5}]})"), R"({"ok":true,"actions":[{"id":2,"do":"stop"}]})");
  EXPECT_EQ(target.answer(R"({"ask":1})"), R"({"trials":[],"done":true})");

  AskTellSession patience = session_of({.trials = 9, .patience = 2});
  patience.answer(R"({"ask":5})");
  EXPECT_EQ(patience.answer(R"({"tell":[{"id":0,"value":2}]})"), R"({"ok":true})");
  EXPECT_EQ(patience.answer(R"({"tell":[{"id":1,"state":"failed"}]})"), R"({"ok":true})");
  EXPECT_EQ(patience.answer(R"({"tell":[{"id":2,"value":1}]})"), R"({"ok":true})") << "better: counted anew";
  EXPECT_EQ(patience.answer(R"({"tell":[{"id":3,"value":1}]})"), R"({"ok":true})");
  EXPECT_FALSE(Json::parse(patience.answer(R"({"ask":1})")).contains("done"));
  patience.answer(R"({"tell":[{"id":4,"value":3}]})");
  EXPECT_EQ(patience.answer(R"({"ask":1})"), R"({"trials":[],"done":true})");
}

TEST(AskTell, TheClockEndsTheStudy) {
  bool over = false;
  AskTellSession session = session_of({.trials = 9, .out_of_time = [&] { return over; }});
  session.answer(R"({"ask":2})");
  over = true;
  EXPECT_EQ(session.answer(R"({"report":[{"id":0,"step":1,"value":1}]})"),
            R"({"actions":[{"id":0,"do":"stop"},{"id":1,"do":"stop"}]})");
  EXPECT_EQ(session.answer(R"({"ask":1})"), R"({"trials":[],"done":true})");
}

TEST(AskTell, LoadRefusesWhatItDidNotSaveAndChangesNothing) {
  const File file;
  AskTellSession session = session_of({});
  session.answer(R"({"ask":2})");
  session.answer(file.save());
  const std::string good = read_file(file.path());
  const std::size_t body = good.find('\n') + 1;
  std::string changed_digit = good, foreign = good;
  changed_digit[good.find("\"step\":0") + 7] = '1';
  foreign.replace(foreign.find("asktell"), 7, "another");
  for (const std::string& content :
       {std::string(), std::string("{}"), std::string("{}\n{}\n"), good.substr(0, body),
        good.substr(0, good.size() / 2), good.substr(0, good.size() - 1), good + " ", changed_digit, foreign}) {
    std::ofstream(file.path(), std::ios::binary) << content;
    const std::string answer = session.answer(file.load());
    EXPECT_TRUE(is_error(answer) && answer.find(file.path()) != std::string::npos) << answer;
  }
  std::ofstream(file.path(), std::ios::binary) << good;
  AskTellSession other = session_of({.seed = 8});
  EXPECT_NE(other.answer(file.load()).find("another tune.seed"), std::string::npos);
  EXPECT_EQ(session.answer(file.load()), R"({"ok":true})");
  EXPECT_EQ(session.answer(R"({"tell":[{"id":1,"value":1}]})"), R"({"ok":true})");
}

// Every scheduler with random, every sampler with asha: the registry grows, and so does this.
std::vector<Play> all_plays() {
  std::vector<Play> plays;
  const auto add = [&](const std::string& sampler, const std::string& scheduler) {
    plays.push_back({.sampler = sampler,
                     .scheduler = scheduler,
                     .options = options_for(scheduler),
                     .trials = 14,
                     .steps = 12,
                     .concurrent = 5});
  };
  for (const auto& scheduler : scheduler_names()) add("random", scheduler);
  for (const auto& sampler : sampler_names()) add(sampler, "asha");
  return plays;
}

class EveryMethod : public ::testing::TestWithParam<Play> {
 protected:
  static constexpr int kRounds = 400;  // 14 trials of 12 steps take 168 one at a time
  std::vector<std::string> answers(const Play& play, bool reversed = false) const {
    AskTellSession session = session_of(play);
    PlayClient client(play);
    client.play(session, kRounds, reversed);
    return client.answers;
  }
};

TEST_P(EveryMethod, EndsWithoutAnErrorAndNeverRunsMoreThanItMay) {
  AskTellSession session = session_of(GetParam());
  PlayClient client(GetParam());
  client.play(session, kRounds);
  EXPECT_TRUE(client.done);
  EXPECT_EQ(client.trials.size(), 14u);
  EXPECT_LE(client.most_running, 5u);
  for (const auto& answer : client.answers) EXPECT_FALSE(is_error(answer)) << answer;
  for (const auto& [id, trial] : client.trials) EXPECT_NE(trial.state, "running") << id;
}

TEST_P(EveryMethod, TheOrderOfEntriesDoesNotMatter) {
  EXPECT_EQ(answers(GetParam()), answers(GetParam(), true));
}

TEST_P(EveryMethod, NegatedValuesUnderMaximizeGiveTheSameAnswers) {
  if (GetParam().scheduler == "threshold") GTEST_SKIP() << "its bounds are in the metric's own direction";
  Play negated = GetParam();
  negated.direction = Direction::maximize;
  EXPECT_EQ(answers(GetParam()), answers(negated));
}

TEST_P(EveryMethod, AnotherProcessGoesOnWhereThisOneEnded) {
  const File file;
  const auto whole = answers(GetParam());
  for (const int rounds : {1, 4, 11}) {
    AskTellSession first = session_of(GetParam());
    PlayClient client(GetParam());
    client.play(first, rounds);
    ASSERT_EQ(first.answer(file.save()), R"({"ok":true})");
    AskTellSession second = session_of(GetParam());
    second.answer(R"({"ask":2})");  // load replaces everything
    ASSERT_EQ(second.answer(file.load()), R"({"ok":true})");
    client.play(second, kRounds);
    EXPECT_EQ(client.answers, whole) << "after " << rounds << " rounds";
  }
}

INSTANTIATE_TEST_SUITE_P(Registry, EveryMethod, ::testing::ValuesIn(all_plays()), [](const auto& info) {
  return info.param.sampler + "_" + info.param.scheduler + "_" + std::to_string(info.index);
});

}  // namespace
}  // namespace finetune::testing
