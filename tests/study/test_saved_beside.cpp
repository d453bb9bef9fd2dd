// A study on lanes with threads of their own, saved on another thread, while a reader looks at its record: nobody
// disturbs anybody. Worth most under ThreadSanitizer (the preset tsan).
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <map>
#include <thread>

#include "core/error.h"
#include "core/files.h"
#include "host/recorded_study.h"
#include "models/model_files.h"
#include "support/fake_lane.h"

namespace finetune::testing {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kSteps = 30, kTrials = 12, kSideBySide = 4;

struct Outcome {
  std::map<std::string, std::string> metrics;  // by name
  int saves = 0;
};

Outcome play_in(const fs::path& run, std::optional<std::int64_t> every) {
  Outcome played;
  const SearchSpace space{{{.name = "learning_rate", .low = 0.01, .high = 0.9, .log = true}}};
  const TunerOptions tuner_options{
      .trials = kTrials, .max_steps = kSteps, .concurrent = kSideBySide, .default_min_steps = 2};
  Tuner tuner(tuner_options, make_sampler("tpe", {{}, space, 3}),
              make_scheduler("asha_promotion", {{}, space, tuner_options}));
  std::vector<FakeLane> lanes(2, FakeLane(kSideBySide));
  StudyOptions options = options_for(kSteps);
  options.concurrent = kSideBySide;
  options.lag = 1;
  std::atomic<int> saves = 0;
  RecordedStudy study;
  study.run = run;
  study.facts = {.space = space, .metric = "valid_loss", .model = "none"};
  study.save_every = every;
  study.on_saved = [&] { ++saves; };
  DiskWait disk({}, {});
  play(study, std::move(options), tuner, {&lanes[0], &lanes[1]}, {}, disk);
  played.saves = saves;
  for (const auto& entry : fs::recursive_directory_iterator(run / "trials")) {
    if (entry.is_regular_file()) played.metrics[entry.path().lexically_relative(run)] = read_file(entry.path());
  }
  return played;
}

// What a reader sees, again and again until the study is over: it only ever grows.
struct Seen {
  std::int64_t trials = 0, round = 0, looks = 0;
};

Seen look_until(const std::atomic<bool>& over, const fs::path& record) {
  Seen seen;
  while (!over) {
    if (!fs::exists(record)) continue;
    Database database(record, Access::read);
    const auto whole = [](const std::vector<SqlRow>& rows) {
      return rows.empty() ? 0 : std::get<std::int64_t>(rows.front().front());
    };
    const auto trials = whole(database.run("SELECT count(*) FROM trials"));
    const auto round = whole(database.run("SELECT round FROM ft_saves ORDER BY save_id DESC"));
    EXPECT_GE(trials, seen.trials);
    EXPECT_GE(round, seen.round);
    seen = {trials, round, seen.looks + 1};
  }
  return seen;
}

TEST(SavedBeside, NobodyDisturbsAnybody) {
  const TemporaryFolder folder;
  const fs::path alone = folder.path() / "alone", watched = folder.path() / "watched";
  fs::create_directory(alone);
  fs::create_directory(watched);
  const Outcome expected = play_in(alone, 0);
  EXPECT_EQ(expected.saves, 0);
  std::atomic<bool> over = false;
  Seen seen;
  std::thread reader([&] { seen = look_until(over, watched / "study.db"); });
  const Outcome played = play_in(watched, 2);
  over = true;
  reader.join();
  EXPECT_GT(played.saves, 10);
  EXPECT_GT(seen.looks, 0);
  EXPECT_EQ(played.metrics, expected.metrics);
}

}  // namespace
}  // namespace finetune::testing
