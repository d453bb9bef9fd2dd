// Saves: when one is made, what lies on the disk, and that only what was written is read back.
#include <gtest/gtest.h>

#include <atomic>
#include <nlohmann/json.hpp>

#include "models/model_files.h"
#include "study/run_folder.h"
#include "study/save_rows.h"
#include "study/saver.h"
#include "study/saves.h"
#include "study/state_trace.h"
#include "study/study_record.h"
#include "support/fake_lane.h"

namespace finetune::testing {
namespace {

namespace fs = std::filesystem;

TEST(SaveDue, TheFirstComesWithTheFirstRungOrAfterTenSeconds) {
  EXPECT_FALSE(is_save_due({.since = 9, .first = true}));
  EXPECT_TRUE(is_save_due({.since = 10, .first = true}));
  EXPECT_TRUE(is_save_due({.since = 0, .first = true, .evaluated = true}));
}

TEST(SaveDue, ThenOnceAMinuteAndAtRungsTenSecondsApart) {
  EXPECT_FALSE(is_save_due({.since = 59}));
  EXPECT_TRUE(is_save_due({.since = 60}));
  EXPECT_FALSE(is_save_due({.since = 9, .evaluated = true}));
  EXPECT_TRUE(is_save_due({.since = 10, .evaluated = true}));
}

TEST(SaveDue, NeverTakesMoreThanAFiftiethOfTheTime) {
  EXPECT_FALSE(is_save_due({.since = 99, .cost = 2, .evaluated = true}));
  EXPECT_FALSE(is_save_due({.since = 99, .cost = 2}));
  EXPECT_TRUE(is_save_due({.since = 100, .cost = 2}));
}

std::shared_ptr<const TrialImage> image_of(double state) {
  auto image = std::make_shared<FakeImage>();
  image->state = state;
  image->weights = {0, static_cast<float>(state), 2};
  return image;
}

Trial trial_of(std::int64_t id, std::shared_ptr<const TrialImage> image) {
  Trial trial;
  trial.id = {id};
  trial.params = {{"learning_rate", 0.1}};
  trial.resident = true;
  trial.image = std::move(image);
  return trial;
}

class Saves : public ::testing::Test {
 protected:
  Saves() { const StudyRecord record(run_.path(), {.space = {}, .metric = "valid_loss", .model = "none"}); }
  static SavedStudy study_of(std::int64_t round, const std::vector<double>& images) {
    SavedStudy saved;
    saved.state.rounds = round;
    for (const double image : images)
      saved.state.trials.push_back(trial_of(std::ssize(saved.state.trials), image_of(image)));
    saved.state.tokens_per_pass = {7};
    saved.seconds = 2.5;
    saved.evaluation_seconds = 1.5;
    return saved;
  }
  std::set<std::string> on_disk() const {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(run_.path() / "saves")) names.insert(entry.path().filename());
    return names;
  }
  std::optional<SaveRow> find() {
    SaveRows rows(run_.path());
    return find_save(run_.path(), rows, [this](const std::string& line) { said_.push_back(line); });
  }
  SavedStudy read() { return read_save(run_.path(), SaveRows(run_.path()).saves().at(0), {&lane_}); }
  void damage(const char* name) const {
    std::string content = read_text(run_.path() / "saves" / name);
    content[content.size() / 2] ^= 1;
    write_text(run_.path() / "saves" / name, content);
  }
  std::string complaint() {
    return error_of([this] { read(); }, ErrorKind::bad_input);
  }

  TemporaryFolder run_;
  FakeLane lane_{2};
  std::vector<std::string> said_;
};

TEST_F(Saves, ThereIsNoneAtFirst) {
  EXPECT_FALSE(find());
}

TEST_F(Saves, AreReadBackAsTheyWere) {
  SavedStudy saved = study_of(5, {0.25, 0.5});
  saved.files = {{"trials/000000/metrics.jsonl", {{.hash = "0", .bytes = 12}, true}}};
  SaveWriter(run_.path()).write(saved, {});
  EXPECT_EQ(find()->round, 5);
  const SavedStudy back = read();
  ASSERT_EQ(back.files.size(), 1u);
  EXPECT_EQ(back.files.begin()->first, saved.files.begin()->first);
  EXPECT_EQ(back.files.begin()->second.written.bytes, 12u);
  EXPECT_EQ(back.files.begin()->second.written.hash, "0");
  EXPECT_TRUE(back.files.begin()->second.ended);
  EXPECT_EQ(back.seconds, 2.5);
  EXPECT_EQ(back.evaluation_seconds, 1.5) << "or the report of a study that is gone on with says less";
  EXPECT_EQ(trace_line(back.state), trace_line(saved.state));
  EXPECT_EQ(back.names, on_disk());
}

TEST_F(Saves, TheLastTwoStayAndWhatDidNotChangeIsNotWrittenAgain) {
  using Names = std::set<std::string>;
  SaveWriter writer(run_.path());
  SavedStudy saved = study_of(1, {0.25, 0.5});
  writer.write(saved, {});
  const Names first{"image-000000.safetensors", "image-000001.safetensors", "state-000001.json"};
  EXPECT_EQ(on_disk(), first);
  saved.state.rounds = 2;
  saved.state.trials[1].image = image_of(0.75);
  writer.write(saved, {});
  Names both = first;
  both.merge(Names{"image-000002.safetensors", "state-000002.json"});
  EXPECT_EQ(on_disk(), both);
  saved.state.rounds = 3;
  writer.write(saved, {});
  EXPECT_EQ(on_disk(),
            (Names{"image-000000.safetensors", "image-000002.safetensors", "state-000002.json", "state-000003.json"}));
  const SavedStudy back = read();
  EXPECT_EQ(back.state.rounds, 3);
  SaveWriter later(run_.path());  // another process numbers on
  later.go_on_from(back);
  EXPECT_EQ(on_disk(), back.names);
  later.write(study_of(4, {0.25}), {});
  EXPECT_EQ(on_disk(), (Names{"image-000000.safetensors", "image-000002.safetensors", "image-000003.safetensors",
                              "state-000003.json", "state-000004.json"}));
}

TEST_F(Saves, WhereTheNewestIsDamagedTheOneBeforeItIsTaken) {
  for (const char* name : {"state-000002.json", "image-000001.safetensors"}) {
    fs::remove_all(run_.path() / "saves");
    SaveWriter writer(run_.path());
    writer.write(study_of(1, {0.25}), {});
    writer.write(study_of(2, {0.5}), {});
    EXPECT_EQ(find()->round, 2);
    EXPECT_EQ(said_, std::vector<std::string>{});
    damage(name);
    EXPECT_EQ(find()->round, 1);
    ASSERT_EQ(said_.size(), 1u);
    EXPECT_TRUE(holds(said_[0], name) && holds(said_[0], "the save of round 1 is whole")) << said_[0];
    damage("image-000000.safetensors");
    EXPECT_TRUE(holds(error_of([this] { find(); }, ErrorKind::bad_input), name));
    said_.clear();
  }
}

TEST_F(Saves, OfWhatIsGoneOnFromNothingLaterStays) {
  SaveWriter(run_.path()).write(study_of(1, {0.25}), {});
  const SavedStudy first = read();
  SaveWriter writer(run_.path());
  writer.go_on_from(first);
  writer.write(study_of(2, {0.5}), {});
  SaveWriter(run_.path()).go_on_from(first);
  EXPECT_EQ(on_disk(), first.names);
  EXPECT_EQ(find()->round, 1);
  EXPECT_EQ(said_, std::vector<std::string>{});
}

TEST_F(Saves, WhatIsDamagedOrOfAnotherRunIsRefusedByName) {
  SaveWriter(run_.path()).write(study_of(1, {0.25}), {});
  const fs::path state = run_.path() / "saves/state-000001.json",
                 image = run_.path() / "saves/image-000000.safetensors";
  for (const fs::path& file : {state, image}) {
    const std::string good = read_text(file);
    std::string flipped = good;
    flipped[good.size() / 2] ^= 1;
    for (const std::string& bad : {flipped, good.substr(0, good.size() - 1), good + " ", std::string()}) {
      write_text(file, bad);
      EXPECT_TRUE(holds(complaint(), file.filename().string())) << complaint();
    }
    fs::remove(file);
    EXPECT_TRUE(holds(complaint(), file.filename().string())) << complaint();
    write_text(file, good);
  }
  EXPECT_NO_THROW(read());
}

TEST_F(Saves, NamesLeadNowhereElse) {
  SaveRows(run_.path()).add({.round = 1, .name = "../../etc/passwd", .written = {.hash = "0", .bytes = 1}});
  EXPECT_TRUE(holds(complaint(), "names a file outside saves/")) << complaint();
  RunFiles files(run_.path());
  for (const char* name : {"../outside", "/etc/passwd", "a/../../b", ""})
    EXPECT_NE(error_of([&] { files.reopen({{name, {}}}); }, ErrorKind::bad_input), "") << name;
}

TEST(ATrace, HasALineForEachRoundAndDiffersWhereAWeightDoes) {
  StudyState state;
  state.trials.push_back(trial_of(0, image_of(0.25)));
  const std::string line = trace_line(state);
  EXPECT_EQ(line.size(), 2 + 32 + 1u);
  EXPECT_EQ(trace_line(state), line);
  state.trials[0].image = image_of(0.5);
  EXPECT_NE(trace_line(state), line);
}

// Two saves of the same study under way are never written at once, and the last one is of the last round.
TEST_F(Saves, AreMadeBesideTheRounds) {
  RunFiles files(run_.path());
  double now = 0;
  std::atomic<int> saved = 0;
  Saver saver(files, {.every = 2, .seconds = [&] { return now; }, .on_saved = [&] { ++saved; }});
  for (std::int64_t round = 1; round <= 9; ++round) {
    if (!saver.wants_save(round, false, false)) continue;
    saver.save(study_of(round, {0.25}).state);
  }
  saver.wait();
  EXPECT_EQ(saved, 4);
  EXPECT_EQ(saver.saved_round(), 8);
  EXPECT_EQ(find()->round, 8);
  EXPECT_TRUE(saver.wants_save(9, false, true)) << "the user ends it";
  Saver never(files, {.every = 0, .seconds = [&] { return now; }});
  EXPECT_FALSE(never.wants_save(2, true, true));
}

TEST_F(Saves, AFailureIsSaidAndTheLastOneStays) {
  RunFiles files(run_.path());
  std::vector<std::string> said;
  Saver saver(files,
              {.every = 1, .seconds = [] { return 0.0; }, .say = [&](const auto& line) { said.push_back(line); }});
  saver.save(study_of(1, {0.25}).state);
  saver.wait();
  fs::rename(run_.path() / "saves", run_.path() / "kept");
  write_text(run_.path() / "saves", "in the way");
  saver.save(study_of(2, {0.25}).state);
  saver.wait();
  ASSERT_EQ(said.size(), 1u);
  EXPECT_TRUE(holds(said[0], "round 2 could not be saved") && holds(said[0], "the save of round 1 stays")) << said[0];
  EXPECT_EQ(SaveRows(run_.path()).saves().at(0).round, 1);
}

// What is saved is the study's: the saver holds none of it once it is written, nor after let_go().
TEST_F(Saves, NothingIsHeldOnceItIsWritten) {
  RunFiles files(run_.path());
  Saver saver(files, {.every = 1, .seconds = [] { return 0.0; }});
  std::vector<std::weak_ptr<const TrialImage>> images;
  const auto save = [&](std::int64_t round) {
    const SavedStudy study = study_of(round, {0.25, 0.5});
    for (const Trial& trial : study.state.trials) images.emplace_back(trial.image);
    saver.save(study.state);
  };
  save(1);
  saver.let_go();
  for (const auto& image : images) EXPECT_TRUE(image.expired());
  save(2);
  saver.wait();
  EXPECT_EQ(on_disk().size(), 6u) << "an address that is used again is another image";
}

TEST_F(Saves, WhatDidNotFitIsSaidAndTheLastOneStays) {
  RunFiles files(run_.path());
  std::vector<std::string> said;
  Saver saver(files,
              {.every = 1, .seconds = [] { return 0.0; }, .say = [&](const auto& line) { said.push_back(line); }});
  saver.not_saved(1);
  saver.save(study_of(2, {0.25}).state);
  saver.not_saved(3);
  ASSERT_EQ(said.size(), 2u);
  EXPECT_EQ(said[0], "round 1 could not be saved: out of memory for a copy of its trials; there is no save yet");
  EXPECT_EQ(said[1], "round 3 could not be saved: out of memory for a copy of its trials; the save of round 2 stays");
}

// Memory may end while an image is written, on the saver's thread: that too is only said.
TEST_F(Saves, MemoryThatEndsIsSaidAndTheLastOneStays) {
  struct TooLarge : FakeImage {
    ImageParts parts() const override { throw std::bad_alloc(); }
  };
  RunFiles files(run_.path());
  std::vector<std::string> said;
  {
    Saver saver(files,
                {.every = 1, .seconds = [] { return 0.0; }, .say = [&](const auto& line) { said.push_back(line); }});
    saver.save(study_of(1, {0.25}).state);
    SavedStudy study = study_of(2, {0.25});
    study.state.trials[0].image = std::make_shared<TooLarge>();
    saver.save(study.state);
  }
  ASSERT_EQ(said.size(), 1u);
  EXPECT_TRUE(holds(said[0], "round 2 could not be saved")) << said[0];
  EXPECT_EQ(find()->round, 1);
}

}  // namespace
}  // namespace finetune::testing
