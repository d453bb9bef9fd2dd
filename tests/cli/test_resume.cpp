// A study that is killed or interrupted and gone on with leaves the bytes of one that nobody touched.
#include <gtest/gtest.h>

#include "cli/resume.h"

namespace finetune::testing {
namespace {

constexpr const char* kRates = "--set 'search.train.learning_rate={low: 1e-4, high: 1e-1, log: true}' ";
constexpr const char* kSmall = "--set train.steps=12 --trials 6 --set tune.concurrent=3 ";

struct Method {
  const char* name;
  std::string arguments;
};

std::vector<Method> methods() {
  const std::string grid = "--set 'search.train.learning_rate={choices: [1e-3, 1e-2, 1e-1]}' --set tune.concurrent=2 ";
  return {
      {"tpe, asha_promotion", kSmall + std::string("--set tune.sampler=tpe --set tune.scheduler=asha_promotion")},
      {"gp, hyperband", kSmall + std::string("--set tune.sampler=gp --set tune.scheduler=hyperband")},
      {"pbt", std::string(kRates) + "--set train.steps=12 --trials 4 --set 'tune.scheduler={name: pbt, interval: 3}'"},
      {"grid", grid + "--set train.steps=12 --trials 3 --set tune.sampler=grid --set tune.scheduler=none"},
      {"nothing set", "--set train.steps=12 --trials 6"},
  };
}

TEST(Resume, AStudyThatWasKilledTwiceEndsAsOneThatNobodyTouched) {
  for (const Method& method : methods()) {
    SCOPED_TRACE(method.name);
    Place place;
    const std::string study = place.study(method.arguments);
    const Left expected = place.untouched(study);
    EXPECT_FALSE(expected.contains("run.lock"));
    place.killed(study);
    const Outcome again = place.run_with("FAULTS_KILL=30", place.resume());
    ASSERT_EQ(again.code, 128 + SIGKILL) << again.text;
    const Outcome resumed = run(place.resume());
    ASSERT_EQ(resumed.code, 0) << resumed.text;
    EXPECT_NE(resumed.text.find("goes on after round "), std::string::npos) << resumed.text;
    EXPECT_NE(resumed.text.find("left: "), std::string::npos) << resumed.text;
    expect_same(expected, what_is_left(place.out()));
  }
}

// Each trial draws by weights of its own, and the loss of each part of the validation data is logged and reported.
TEST(Resume, AMixtureWhoseWeightsAreSearched) {
  Place place;
  std::string other;
  for (int i = 0; i < 9; ++i) other += R"({"text": "z y x)" + std::string(1, static_cast<char>('a' + i)) + "\"}\n";
  place.files().write("other.jsonl", other);
  const auto sources = [&](const std::string& more) {
    return "[{path: " + place.path("train.jsonl") + ", name: one" + more + "}, {path: " + place.path("other.jsonl") +
           ", name: two}]'";
  };
  const std::string study =
      place.study("--set 'data.train=" + sources(", weight: 2") + " --set 'data.valid=" + sources("") +
                  " --set 'search.data.weights.two={low: 0.1, high: 10, log: true}' --set train.steps=12 --trials 4 "
                  "--set tune.concurrent=2 --set tune.scheduler=asha");
  const Left expected = place.untouched(study);
  const auto report = nlohmann::ordered_json::parse(expected.at("report.json"));
  EXPECT_EQ(report.at("best").at("valid_losses").size(), 2u);
  EXPECT_TRUE(report.at("best").at("params").contains("data.weights.two"));
  EXPECT_NE(expected.at("trials/000001/metrics.jsonl").find("\"valid_loss.two\":"), std::string::npos);
  EXPECT_NE(expected.at("trials/000000/metrics.jsonl").substr(0, 60),
            expected.at("trials/000001/metrics.jsonl").substr(0, 60));
  place.killed(study);
  const Outcome resumed = run(place.resume());
  ASSERT_EQ(resumed.code, 0) << resumed.text;
  expect_same(expected, what_is_left(place.out()));
}

TEST(Resume, LanesAreThoseOfTheRun) {
  Place place;
  const std::string study = place.study(methods()[0].arguments + " --set run.lanes=2 --set run.threads=2");
  const Left expected = place.untouched(study);
  place.killed(study);
  const Outcome resumed = run(place.resume());
  ASSERT_EQ(resumed.code, 0) << resumed.text;
  expect_same(expected, what_is_left(place.out()));
}

// Relative paths are those of the folder in which the run was begun, wherever it is gone on with.
TEST(Resume, FromAnotherWorkingDirectory) {
  Place place;
  const std::string study =
      "--model model --train train.jsonl --out out --set train.batch_size=2 --set run.save_every=3 --set run.lanes=1 " +
      methods()[0].arguments;
  const std::string there = "cd '" + place.path(".") + "' && ";
  const auto play = [&](const std::string& faults) { return run_command(there + place.with_faults(faults, study)); };
  ASSERT_EQ(play("FAULTS_LOG=log").code, 0);
  const Left expected = what_is_left(place.out());
  const std::string log = place.files().read("log");
  fs::remove_all(place.out());
  const auto writes = std::ranges::count(log.substr(0, second_save(log)), '\n') + 10;
  ASSERT_EQ(play("FAULTS_KILL=" + std::to_string(writes)).code, 128 + SIGKILL);
  ASSERT_NE(saved_state(place.out()), "");
  const Outcome resumed = run_command("cd / && '" + program_path() + "' " + place.resume());
  ASSERT_EQ(resumed.code, 0) << resumed.text;
  expect_same(expected, what_is_left(place.out()));
}

TEST(Resume, ACopyOfTheFolderElsewhere) {
  Place place;
  const std::string study = place.study(methods()[0].arguments);
  const Left expected = place.untouched(study);
  place.killed(study);
  fs::copy(place.out(), place.path("copy"), fs::copy_options::recursive);
  fs::remove_all(place.out());
  const Outcome resumed = run(place.resume("copy"));
  ASSERT_EQ(resumed.code, 0) << resumed.text;
  EXPECT_FALSE(fs::exists(place.out()));
  expect_same(expected, what_is_left(place.path("copy")));
}

TEST(Resume, ACompleteRunIsLeftAlone) {
  Place place;
  const std::string study = place.study(methods()[0].arguments);
  const Outcome tuned = run(study + " 2>/dev/null");
  ASSERT_EQ(tuned.code, 0) << tuned.text;
  const Left before = what_is_left(place.out());
  const Outcome again = run(place.resume());
  EXPECT_EQ(again.code, 0);
  EXPECT_NE(again.text.find("is complete"), std::string::npos) << again.text;
  EXPECT_EQ(run(place.resume() + " 2>/dev/null").text, tuned.text);
  expect_same(before, what_is_left(place.out()));
}

// Syncs that take their time: whatever the machine, the study is not over when Ctrl-C comes.
TEST(Resume, CtrlCOnceSavesAndReports) {
  Place place;
  const std::string study = place.study(methods()[1].arguments);
  const Left expected = place.untouched(study);
  Background tune(place.with_faults("FAULTS_DELAY_MS=5", study), place.path("said"));
  ASSERT_TRUE(tune.wait_until([&] { return fs::exists(place.out() / "saves"); }));
  tune.send(SIGINT);
  const Outcome interrupted = tune.wait();
  EXPECT_EQ(interrupted.code, 130) << interrupted.text;
  EXPECT_FALSE(tune.was_killed());
  EXPECT_NE(interrupted.text.find("ending after the round under way"), std::string::npos) << interrupted.text;
  EXPECT_NE(interrupted.text.find("finetune_tune resume " + place.out().string()), std::string::npos)
      << interrupted.text;
  EXPECT_TRUE(fs::exists(place.out() / "report.html"));
  const auto report = nlohmann::json::parse(place.files().read("out/report.json"));
  EXPECT_FALSE(report.at("trials").empty());
  EXPECT_NE(saved_state(place.out()), "");
  EXPECT_FALSE(fs::exists(place.out() / "run.lock"));
  const Outcome resumed = run(place.resume());
  ASSERT_EQ(resumed.code, 0) << resumed.text;
  expect_same(expected, what_is_left(place.out()));
}

// The same command again says what lies there, and what can be done about it.
TEST(Resume, TheSameCommandAgainSaysWhetherItCanGoOn) {
  Place place;
  const std::string study = place.study(methods()[0].arguments);
  place.untouched(study);
  place.killed(study);
  const Outcome saved = run(study);
  EXPECT_EQ(saved.code, 2);
  EXPECT_NE(saved.text.find("a run that can go on lies there (finetune_tune resume "), std::string::npos) << saved.text;
  Database(place.out() / "study.db").run("DELETE FROM ft_saves");
  const Outcome unsaved = run(study);
  EXPECT_EQ(unsaved.code, 2);
  EXPECT_NE(unsaved.text.find("was cut off before its first save and can only begin again"), std::string::npos)
      << unsaved.text;
  EXPECT_EQ(run(study + " --overwrite").code, 0);
  EXPECT_NE(run(study).text.find("--out is not empty; choose another"), std::string::npos);
}

TEST(Resume, CtrlCTwiceDiesAtOnce) {
  Place place;
  const std::string study = place.study(methods()[1].arguments);
  const Left expected = place.untouched(study);
  Background tune(place.with_faults("FAULTS_DELAY_MS=40", study), place.path("said"));
  ASSERT_TRUE(tune.wait_until([&] { return !saved_state(place.out()).empty(); }));
  tune.send(SIGINT);
  ASSERT_TRUE(tune.wait_until([&] { return tune.has_said("once more ends at once"); }));
  tune.send(SIGINT);
  const Outcome died = tune.wait();
  EXPECT_TRUE(tune.was_killed()) << died.code << died.text;
  EXPECT_EQ(died.code, 128 + SIGINT);
  const std::string ending = "ending after the round under way";
  EXPECT_EQ(died.text.find(ending), died.text.rfind(ending)) << "once: " << died.text;
  EXPECT_FALSE(fs::exists(place.out() / "report.json"));
  const Outcome resumed = run(place.resume());
  ASSERT_EQ(resumed.code, 0) << resumed.text;
  expect_same(expected, what_is_left(place.out()));
}

// The report of an interrupted run is that of what there is; interrupted again it is still gone on with.
TEST(Resume, InterruptedWhileItGoesOn) {
  Place place;
  const std::string study = place.study(methods()[0].arguments);
  const Left expected = place.untouched(study);
  place.killed(study, 0.1);
  const std::string saved = saved_state(place.out());
  Background resume(place.with_faults("FAULTS_DELAY_MS=5", place.resume()), place.path("said"));
  ASSERT_TRUE(resume.wait_until([&] { return saved_state(place.out()) != saved; })) << resume.said();
  resume.send(SIGINT);
  EXPECT_EQ(resume.wait().code, 130) << resume.said();
  const Outcome resumed = run(place.resume());
  ASSERT_EQ(resumed.code, 0) << resumed.text;
  expect_same(expected, what_is_left(place.out()));
}

TEST(Resume, HowOftenARunIsSavedIsItsUsersChoice) {
  Place place;
  const std::string rounds = "--set train.steps=12 --trials 3 --set tune.scheduler=none ";
  const auto saves_in = [&](const std::string& every) {
    const Outcome outcome =
        place.run_with("FAULTS_LOG='" + place.path("log") + "'", place.study(rounds + "--set run.save_every=" + every));
    EXPECT_EQ(outcome.code, 0) << outcome.text;
    fs::remove_all(place.out());
    const std::string log = place.files().read("log");
    std::map<int, bool> rounds_saved;
    for (std::size_t at = log.find("state-"); at != std::string::npos; at = log.find("state-", at + 1))
      rounds_saved[std::stoi(log.substr(at + 6, 6))] = true;
    std::vector<int> list;
    for (const auto& [round, saved] : rounds_saved) list.push_back(round);
    fs::remove(place.path("log"));
    return list;
  };
  EXPECT_EQ(saves_in("0"), std::vector<int>{});
  EXPECT_EQ(saves_in("2"), (std::vector<int>{2, 4, 6, 8, 10, 12}));
  EXPECT_EQ(saves_in("5"), (std::vector<int>{5, 10}));
  for (const char* wrong : {"-1", "often"}) {
    const Outcome outcome = run(place.study(rounds + "--set run.save_every=" + wrong));
    EXPECT_EQ(outcome.code, 2) << wrong;
    EXPECT_NE(outcome.text.find("run.save_every"), std::string::npos) << outcome.text;
    EXPECT_FALSE(fs::exists(place.out()));
  }
}

// Without saves a round counts for nothing when its user interrupts it, and nothing tells to go on.
TEST(Resume, WithoutSavesThereIsNothingToGoOnWith) {
  Place place;
  const std::string study = place.study("--set run.save_every=0 --set train.steps=1000000 --set tune.scheduler=none");
  const Outcome outcome = interrupt_once(place.path("out/trials/000001/metrics.jsonl"), study);
  EXPECT_EQ(outcome.code, 130) << outcome.text;
  EXPECT_EQ(outcome.text.find("finetune_tune resume"), std::string::npos) << outcome.text;
  EXPECT_FALSE(fs::exists(place.out() / "saves"));
  const Outcome resumed = run(place.resume());
  EXPECT_EQ(resumed.code, 2) << resumed.text;
  EXPECT_NE(resumed.text.find("no save to go on from"), std::string::npos) << resumed.text;
}

}  // namespace
}  // namespace finetune::testing
