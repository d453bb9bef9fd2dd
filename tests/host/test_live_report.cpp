// The page of a study that runs: when it is written, what it says, and that the study does not mind when it cannot be.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/files.h"
#include "host/live_report.h"
#include "models/model_files.h"
#include "study/run_folder.h"
#include "support/fake_lane.h"

namespace finetune::testing {
namespace {

namespace fs = std::filesystem;

TEST(LiveReport, IsDueOnceAMinuteAndLessOftenWhereItTakesLong) {
  EXPECT_FALSE(is_report_due(59, 0));
  EXPECT_TRUE(is_report_due(60, 0));
  EXPECT_TRUE(is_report_due(60, 1.2));
  EXPECT_FALSE(is_report_due(99, 2)) << "no more than a fiftieth of the time";
  EXPECT_TRUE(is_report_due(100, 2));
}

// Looks at the page after every round.
struct Reader : StudyObserver {
  explicit Reader(fs::path page) : page_(std::move(page)) {}
  void on_round(std::int64_t) override {
    const std::string now = fs::is_regular_file(page_) ? read_file(page_) : "";
    if (!now.empty() && (pages.empty() || pages.back() != now)) pages.push_back(now);
    ++rounds;
    if (pages.empty()) ++without;
  }
  std::vector<std::string> pages;  // those that differ
  int rounds = 0, without = 0;

 private:
  fs::path page_;
};

// A study of three trials of nine steps, rungs at 1 and 3, on a clock that goes on by `a_round` seconds with each
// round.
struct Watched {
  explicit Watched(double a_round, const fs::path& run) : reader(run / "report.html"), files(run) {
    struct Ticks : StudyObserver {
      explicit Ticks(double by) : by_(by) {}
      void on_round(std::int64_t) override { now += by_; }
      double now = 0;

     private:
      double by_;
    };
    FakeLane lane(8);
    const auto tuner = tuner_over({0.1, 0.5, 0.2}, "asha", 9);
    Ticks clock(a_round);
    TrialWriter writer(files);
    LiveReport live({.run = run,
                     .known = {.model = "a model", .full_steps = 9},
                     .seconds = [&] { return clock.now; },
                     .rungs = [&] { return tuner->looks().rungs; }});
    result = Study(options_for(9), *tuner, {&lane}, {&writer, &files, &clock, &live, &reader}).run();
  }
  Reader reader;
  RunFiles files;
  StudyResult result;
};

TEST(LiveReport, IsWrittenWithTheFirstEvaluationAndThenAsOftenAsItIsDue) {
  const TemporaryFolder folder;
  const Watched often(61, folder.path());
  EXPECT_EQ(often.reader.without, 0) << "rung 1 is the first round";
  EXPECT_EQ(static_cast<int>(often.reader.pages.size()), often.reader.rounds) << "each round takes a minute";
  const TemporaryFolder other;
  const Watched seldom(25, other.path());
  EXPECT_EQ(seldom.reader.pages.size(), (static_cast<std::size_t>(seldom.reader.rounds) + 2) / 3);
}

TEST(LiveReport, SaysWhatThereIsSoFar) {
  const TemporaryFolder folder;
  const Watched watched(61, folder.path());
  const std::string& first = watched.reader.pages.front();
  EXPECT_NE(first.find("<body data-running>"), std::string::npos);
  EXPECT_NE(first.find("Trial 1 is best"), std::string::npos) << first;
  EXPECT_NE(first.find("<td>stopped"), std::string::npos) << "those that rung 1 stopped";
  EXPECT_NE(watched.reader.pages.back().find("id=\"curves\""), std::string::npos) << "from the files of the run";
  EXPECT_EQ(first.find("best.yaml"), std::string::npos) << "there is none yet";
}

TEST(LiveReport, AStudyDoesNotMindAPageThatCannotBeWritten) {
  const TemporaryFolder folder;
  fs::create_directories(folder.path() / "report.html" / "in the way");
  const Watched watched(61, folder.path());
  EXPECT_EQ(watched.result.trials.size(), 3u);
  EXPECT_TRUE(watched.result.best.has_value());
  EXPECT_TRUE(fs::is_directory(folder.path() / "report.html"));
}

TEST(LiveReport, GoesOnFromAState) {
  const TemporaryFolder folder;
  double now = 0;
  LiveReport live({.run = folder.path(),
                   .known = {},
                   .seconds = [&] { return now; },
                   .rungs = [] { return std::vector<std::int64_t>{}; }});
  StudyState state;
  state.trials.resize(2);
  for (std::int64_t id = 0; id < 2; ++id) state.trials[static_cast<std::size_t>(id)].id = TrialId{id};
  live.on_resume(state);
  live.on_round(1);
  EXPECT_FALSE(fs::exists(folder.path() / "report.html")) << "nobody was evaluated";
  state.trials[1].best_metric = 0.25;
  LiveReport again({.run = folder.path(),
                    .known = {},
                    .seconds = [&] { return now; },
                    .rungs = [] { return std::vector<std::int64_t>{}; }});
  again.on_resume(state);
  again.on_round(1);
  EXPECT_NE(read_file(folder.path() / "report.html").find("Trial 1 is best"), std::string::npos);
}

TEST(LiveReport, TheBestSoFarIsACompletedOneWhereThereIsOne) {
  ReportFacts study;
  EXPECT_EQ(best_so_far(study), std::nullopt);
  study.trials = {{.id = 0, .state = "running", .metric = 1.0}, {.id = 1, .state = "stopped", .metric = 2.0}};
  EXPECT_EQ(best_so_far(study), 0u);
  study.trials[1].state = "completed";
  EXPECT_EQ(best_so_far(study), 1u);
  study.trials.push_back({.id = 2, .state = "completed", .metric = 3.0});
  study.direction = Direction::maximize;
  EXPECT_EQ(best_so_far(study), 2u);
}

}  // namespace
}  // namespace finetune::testing
