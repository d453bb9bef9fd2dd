// What is not the run that was saved, or not whole, is refused in one line, exit code 2, and left as it is.
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/resume.h"
#include "core/file_lock.h"

namespace finetune::testing {
namespace {

// States of the valid saves that are there, by round.
std::map<std::int64_t, fs::path> saves_in(const fs::path& run) {
  std::map<std::int64_t, fs::path> saves;
  if (!fs::exists(run / "study.db")) return saves;
  for (const SqlRow& row : Database(run / "study.db", Access::read).run("SELECT round, file FROM ft_saves")) {
    const fs::path state = run / "saves" / std::get<std::string>(row[1]);
    if (fs::exists(state)) saves[std::get<std::int64_t>(row[0])] = state;
  }
  return saves;
}

// One study that was killed after two saves; every case has a copy of it, in which only the newest is valid.
class Refused : public ::testing::Test {
 public:
  static void SetUpTestSuite() {
    place_ = new Place;
    const std::string study = place_->study(kStudy);
    complete_ = place_->untouched(study);
    // Not in the middle of a save, so that two are there, and not before a trial has ended.
    const auto is_late_enough = [] {
      return saves_in(place_->out()).size() == 2 && ended_trial_of(place_->out()).has_value();
    };
    for (double share = 0.4; share < 0.9 && !is_late_enough(); share += 0.02) {
      fs::remove_all(place_->out());
      place_->killed(study, share);
    }
    ASSERT_TRUE(is_late_enough());
  }
  static void TearDownTestSuite() { delete place_; }

 protected:
  Refused() {
    fs::copy(place_->out(), run_, fs::copy_options::recursive);
    Database(run_ / "study.db").run("DELETE FROM ft_saves WHERE save_id < (SELECT max(save_id) FROM ft_saves)");
  }
  ~Refused() override { fs::remove_all(run_); }

  static std::string path(const std::string& name) { return place_->path(name); }
  static const Fixture& files() { return place_->files(); }
  fs::path save() const { return run_ / "saves" / saved_state(run_); }
  fs::path image() const { return images().front(); }
  std::vector<fs::path> images() const { return images_of(save()); }
  static std::vector<fs::path> images_of(const fs::path& state) {
    std::vector<fs::path> list;
    const auto json = nlohmann::json::parse(read_file(state));
    for (const auto& [name, written] : json.at("images").items()) list.push_back(state.parent_path() / name);
    return list;
  }

  /// The folder of a trial that has ended in the save.
  /// In the newest save of a run.
  static std::optional<fs::path> ended_trial_of(const fs::path& run) {
    const auto json = nlohmann::json::parse(read_file(run / "saves" / saved_state(run)));
    for (const auto& trial : json.at("study").at("trials")) {
      if (trial.at("state") != "running" && trial.at("state") != "paused")
        return run / "trials" / ("00000" + std::to_string(trial.at("id").get<int>()));
    }
    return std::nullopt;
  }
  fs::path ended_trial() const { return *ended_trial_of(run_); }

  /// In one line that has these words; nothing in the folder is changed by it.
  void refuse(const std::vector<std::string>& words, const std::string& more = "") const {
    const Left before = what_lies_in(run_);
    const Outcome outcome = run(place_->resume("case") + " " + more);
    EXPECT_EQ(outcome.code, 2) << outcome.text;
    const auto said = outcome.text.find("finetune_tune: ");
    ASSERT_NE(said, std::string::npos) << outcome.text;
    const std::string line = outcome.text.substr(said);
    EXPECT_EQ(std::ranges::count(line, '\n'), 1) << outcome.text;
    for (const std::string& word : words) EXPECT_NE(line.find(word), std::string::npos) << word << " in " << line;
    EXPECT_TRUE(before == what_lies_in(run_)) << "the folder was changed by: " << line;
  }
  void accept() const {
    const Outcome outcome = run(place_->resume("case"));
    EXPECT_EQ(outcome.code, 0) << outcome.text;
    expect_same(complete_, what_is_left(run_));
  }

  static constexpr const char* kStudy =
      "--set train.steps=12 --trials 6 --set tune.concurrent=3 --set tune.sampler=tpe "
      "--set tune.scheduler=asha_promotion";
  inline static Place* place_ = nullptr;
  inline static Left complete_;
  const fs::path run_ = path("case");

 private:
  // All bytes but SQLite's, and but the lock that a killed process left.
  static Left what_lies_in(const fs::path& run) {
    Left left;
    if (!fs::is_directory(run)) return left;
    for (const auto& entry : fs::recursive_directory_iterator(run)) {
      const std::string name = entry.path().lexically_relative(run).string();
      if (entry.is_symlink() || !entry.is_regular_file() || name.starts_with("study.db") || name == "run.lock")
        continue;
      left[name] = read_file(entry.path());
    }
    return left;
  }
};

std::string flipped(const fs::path& file, double where) {
  std::string content = read_file(file);
  content[static_cast<std::size_t>(static_cast<double>(content.size() - 1) * where)] ^= 1;
  return content;
}

TEST_F(Refused, OtherTrainingData) {
  const std::string before = files().read("train.jsonl");
  files().write("train.jsonl", before + "{\"prompt\": \"a\", \"completion\": \"b\"}\n");
  refuse({path("train.jsonl"), "bytes", "when the run began"});
  files().write("train.jsonl", before);
  files().edit("train.jsonl", "ab ca", "ab cz");
  refuse({path("train.jsonl"), "other content than when the run began"});
  fs::remove(path("train.jsonl"));
  refuse({path("train.jsonl"), "does not exist"});
  files().write("train.jsonl", before);
  accept();
}

TEST_F(Refused, AnotherModel) {
  const std::string weights = files().read("model/model.safetensors");
  files().write("model/model.safetensors", flipped(path("model/model.safetensors"), 0.9));
  refuse({path("model/model.safetensors"), "other content than when the run began"});
  files().write("model/model.safetensors", weights);
  files().write("model/generation_config.json", "{}");
  refuse({path("model/generation_config.json"), "was not there when the run began"});
  fs::remove(path("model/generation_config.json"));
  const std::string tokenizer = files().read("model/tokenizer_config.json");
  fs::remove(path("model/tokenizer_config.json"));
  refuse({path("model/tokenizer_config.json"), "is gone"});
  files().write("model/tokenizer_config.json", tokenizer);
  accept();
}

TEST_F(Refused, AnotherConfiguration) {
  files().edit("case/run.yaml", "steps: 12", "steps: 13");
  refuse({path("case/run.yaml"), "has changed since the run began"});
  files().write("case/run.yaml", "");
  refuse({path("case/run.yaml")});
  fs::remove(run_ / "run.yaml");
  refuse({path("case"), "has no run.yaml"});
}

TEST_F(Refused, AnotherVersion) {
  Database(run_ / "study.db").run("UPDATE ft_run SET value = '0.0.7' WHERE key = 'version'");
  refuse({path("case"), "was begun by finetune_tune 0.0.7", "go on with the version that began it"});
}

TEST_F(Refused, NoSaveYet) {
  Database(run_ / "study.db").run("DELETE FROM ft_saves");
  refuse({path("case"), "has no save to go on from"});
}

TEST_F(Refused, WhatIsNoStudy) {
  EXPECT_EQ(run("resume").code, 2);
  fs::remove_all(run_);
  refuse({path("case"), "is not a folder"});
  files().write("case", "a file");
  refuse({path("case"), "is not a folder"});
  fs::remove_all(run_);
  fs::create_directory(run_);
  refuse({path("case"), "is not a study that can be gone on with"});
  fs::remove_all(run_);
  ASSERT_EQ(run("train " + files().tune_with("train.jsonl", "case", "--set train.steps=2")).code, 0);
  fs::remove(run_ / "study.db");
  refuse({path("case"), "has no study.db"});
}

TEST_F(Refused, WhileAnotherProcessIsThere) {
  const auto lock = FileLock::try_lock(run_ / "run.lock");
  ASSERT_TRUE(lock);
  refuse({path("case"), "another process is writing there"});
  const Outcome over = run(files().tune_with("train.jsonl", "case", kStudy) + " --overwrite");
  EXPECT_EQ(over.code, 2) << over.text;
  EXPECT_NE(over.text.find("another process is writing there"), std::string::npos) << over.text;
  EXPECT_NE(saved_state(run_), "");
}

TEST_F(Refused, ADamagedState) {
  const fs::path state = save();
  const std::string name = state.string(), whole = read_file(state);
  for (const double where : {0.3, 1.0}) {
    write_file_atomically(state, flipped(state, where));
    refuse({name, "damaged"});
    write_file_atomically(state, whole);
  }
  for (const std::size_t size : {std::size_t{0}, whole.size() - 1}) {
    write_file_atomically(state, whole.substr(0, size));
    refuse({name, "damaged"});
  }
  write_file_atomically(state, whole + " ");
  refuse({name});
  fs::remove(state);
  refuse({name});
}

TEST_F(Refused, ADamagedImage) {
  const fs::path file = image();
  const std::string name = file.string(), whole = read_file(file);
  for (const double where : {0.0, 1.0}) {
    write_file_atomically(file, flipped(file, where));
    refuse({name, "damaged"});
    write_file_atomically(file, whole);
  }
  write_file_atomically(file, whole.substr(0, whole.size() / 2));
  refuse({name, "damaged"});
  const fs::path other = images().back();
  ASSERT_NE(file, other);
  write_file_atomically(file, read_file(other));
  refuse({name});
  fs::remove(file);
  refuse({name});
}

// The save before the newest is gone on from, with the same end.
TEST_F(Refused, ButNotWhereTheSaveBeforeTheDamagedOneIsWhole) {
  const auto begin_again = [&] {
    fs::remove_all(run_);
    fs::copy(place_->out(), run_, fs::copy_options::recursive);
    return saves_in(run_);
  };
  for (const bool of_state : {true, false}) {
    const auto saves = begin_again();
    ASSERT_EQ(saves.size(), 2u);
    const fs::path newest = saves.rbegin()->second, bad = of_state ? newest : images_of(newest).back();
    write_file_atomically(bad, flipped(bad, 0.5));
    const Outcome outcome = run(place_->resume("case"));
    EXPECT_EQ(outcome.code, 0) << outcome.text;
    const std::string round = std::to_string(saves.begin()->first);
    for (const std::string& words :
         {bad.string() + ": is damaged", "the save of round " + round + " is whole", "goes on after round " + round})
      EXPECT_NE(outcome.text.find(words), std::string::npos) << words << " in " << outcome.text;
    expect_same(complete_, what_is_left(run_));
  }
  const auto saves = begin_again();
  for (const auto& [round, state] : saves) write_file_atomically(state, flipped(state, 0.5));
  refuse({saves.rbegin()->second.string(), "damaged"});
}

TEST_F(Refused, ASaveOfAnotherRun) {
  const std::string other = place_->study(std::string(kStudy) + " --seed 5");
  const std::string moved = path("moved");
  fs::rename(place_->out(), moved);
  place_->killed(other);
  const fs::path theirs = place_->out() / "saves";
  const std::string state = read_file(theirs / saved_state(place_->out()));
  write_file_atomically(save(), state);
  refuse({save().string(), "of another run"});
  fs::remove_all(place_->out());
  fs::rename(moved, place_->out());
}

TEST_F(Refused, ADamagedRecord) {
  for (const char* part : {"-wal", "-shm"}) fs::remove(run_ / (std::string("study.db") + part));
  const fs::path record = run_ / "study.db";
  {
    Database quiet(place_->out() / "study.db", Access::resume);  // takes the log into the file
  }
  fs::copy_file(place_->out() / "study.db", record, fs::copy_options::overwrite_existing);
  const std::string whole = read_file(record);
  constexpr std::size_t kPage = 4096;
  const auto with = [&](const std::string& content) {
    write_file_atomically(record, content);
    refuse({record.string()});
  };
  with("");
  with("no database");
  with(whole.substr(0, whole.size() / 2));
  for (const std::size_t page : {0, 3}) {
    std::string holed = whole;
    holed.replace(page * kPage, kPage, kPage, '\x5a');
    with(holed);
  }
  write_file_atomically(record, whole);
  Database(record).run("UPDATE ft_saves SET file = '../../train.jsonl'");
  refuse({record.string(), "names a file outside saves/"});
  Database(record).run("UPDATE ft_saves SET file = 7");
  refuse({});
  Database(record).run("DROP TABLE ft_saves");
  refuse({record.string()});
}

TEST_F(Refused, ALinkInTheFolder) {
  for (const char* name : {"saves/link", "trials/000000/link", "link"}) {
    fs::create_symlink(path("train.jsonl"), run_ / name);
    refuse({path(std::string("case/") + name)});
    fs::remove(run_ / name);
  }
  const fs::path metrics = run_ / "trials/000000/metrics.jsonl";
  fs::rename(metrics, path("elsewhere"));
  fs::create_symlink(path("elsewhere"), metrics);
  refuse({metrics.string()});
  fs::remove(metrics);
  fs::rename(path("elsewhere"), metrics);
  accept();
}

// What lies in the run's folder is gone, or shorter than what was saved of it.
TEST_F(Refused, AFileThatIsShorterThanItWas) {
  const fs::path metrics = run_ / "trials/000000/metrics.jsonl";
  const std::string whole = read_file(metrics);
  write_file_atomically(metrics, whole.substr(0, 10));
  refuse({metrics.string(), "shorter than what was saved of it"});
  fs::remove(metrics);
  refuse({metrics.string(), "is gone"});
}

// Of the same length: only what stands in it tells.
TEST_F(Refused, ARecordThatWasChanged) {
  for (const fs::path name : {"trials/000000/metrics.jsonl", "tensorboard/000000"}) {
    fs::path file = run_ / name;
    if (fs::is_directory(file)) file = fs::directory_iterator(file)->path();
    const std::string whole = read_file(file);
    write_file_atomically(file, flipped(file, 0.2));
    refuse({file.string(), "no longer what was saved of it"});
    write_file_atomically(file, whole);
  }
}

// trial.json and schedule.json are written once, when a trial has ended.
TEST_F(Refused, ATrialThatWasChanged) {
  const fs::path record = ended_trial() / "trial.json", schedule = record.parent_path() / "schedule.json";
  const std::string whole = read_file(record);
  write_file_atomically(record, flipped(record, 0.2));
  refuse({record.string(), "no longer what was saved of the trial"});
  write_file_atomically(record, whole + "\n");
  refuse({record.string(), "no longer what was saved of the trial"});
  fs::remove(record);
  refuse({record.string(), "is gone"});
  write_file_atomically(record, whole);
  write_file_atomically(schedule, "[]\n");
  refuse({schedule.string(), "was not there"});
  fs::remove(schedule);
  accept();
}

TEST_F(Refused, AnotherProcessorUnlessItIsAskedFor) {
  Database(run_ / "study.db").run("UPDATE ft_run SET value = 'an abacus' WHERE key = 'processor'");
  refuse({"begun on an abacus", "--elsewhere"});
  const Outcome elsewhere = run(place_->resume("case") + " --elsewhere");
  EXPECT_EQ(elsewhere.code, 0) << elsewhere.text;
  EXPECT_NE(elsewhere.text.find("begun on an abacus, gone on with on "), std::string::npos) << elsewhere.text;
  expect_same(complete_, what_is_left(run_));
}

}  // namespace
}  // namespace finetune::testing
