// The folder of a run: what is written while trials go on, when they end, and what reads it back.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "models/model_files.h"
#include "study/run_folder.h"

namespace finetune::testing {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN(), kInf = std::numeric_limits<double>::infinity();

Trial trial_of(std::int64_t id) {
  Trial trial;
  trial.id = TrialId{id};
  trial.params = {{"train.learning_rate", 3e-4}, {"train.schedule", std::string("linear")}};
  return trial;
}

StepResult step_of(const Trial& trial, std::int64_t step, double loss, double norm = 0.5) {
  return {.trial = trial.id,
          .step = step,
          .tokens = 10,
          .train_loss = loss,
          .gradient_norm = norm,
          .learning_rate = 3e-4,
          .finite = std::isfinite(loss)};
}

void take_step(TrialWriter& writer, Trial& trial, double loss, double norm = 0.5) {
  trial.tokens += 10;
  const std::vector<StepResult> results{step_of(trial, ++trial.step, loss, norm)};
  const std::vector<const Trial*> trials{&trial};
  writer.on_steps(results, trials);
}

class RunFolder : public ::testing::Test {
 protected:
  std::string metrics(std::int64_t id) const { return read_text(trial_folder(run_.path(), id) / "metrics.jsonl"); }
  Json record(std::int64_t id) const { return Json::parse(read_text(trial_folder(run_.path(), id) / "trial.json")); }
  TemporaryFolder run_;
  RunFiles files_{run_.path()};
  TrialWriter writer_{files_};
};

TEST_F(RunFolder, TrialsHaveSixDigitsAndAreNotCutBeyond) {
  EXPECT_EQ(trial_folder("run", 7), fs::path("run/trials/000007"));
  EXPECT_EQ(trial_folder("run", 1234567), fs::path("run/trials/1234567"));
}

TEST_F(RunFolder, StepsAndEvaluationsAreLinesInTheOrderTheyHappened) {
  Trial trial = trial_of(7);
  writer_.on_start(trial);
  take_step(writer_, trial, 2.25);
  take_step(writer_, trial, 0.1 + 0.2);
  writer_.on_evaluation(trial, {.trial = trial.id, .loss = 1.75, .token_accuracy = 0.5}, {1.75, 1.75});
  files_.on_round(2);
  EXPECT_EQ(metrics(7),
            R"({"step":1,"train_loss":2.25,"learning_rate":0.0003,"grad_norm":0.5,"tokens":10})"
            "\n"
            R"({"step":2,"train_loss":0.30000000000000004,"learning_rate":0.0003,"grad_norm":0.5,"tokens":20})"
            "\n"
            R"({"step":2,"valid_loss":1.75})"
            "\n");
}

// valid_loss stands in every run; what is tuned beside it under its own name, and that is what curves are of.
TEST_F(RunFolder, EveryMetricIsWrittenAndReadUnderItsOwnName) {
  for (const Metric& metric : finetune::metrics()) {
    SCOPED_TRACE(metric.name);
    RunFiles files(run_.path() / metric.name);
    TrialWriter writer(files, {metric});
    Trial trial = trial_of(0);
    writer.on_start(trial);
    take_step(writer, trial, 2.25);
    EvalResult result{.trial = trial.id, .loss = 1.75, .token_accuracy = 0.5, .bits_per_byte = 3};
    if (metric.source != MetricSource::loss) result.task[metric.name] = 0.25;
    const double value = value_of(metric, result).value();
    writer.on_evaluation(trial, result, {value, value});
    writer.on_end(trial);
    const std::string lines = read_text(trial_folder(run_.path() / metric.name, 0) / "metrics.jsonl");
    Json expected = {{"step", 1}, {"valid_loss", 1.75}};
    expected[metric.name] = value;
    EXPECT_NE(lines.find(expected.dump() + "\n"), std::string::npos) << lines;
    ReportFacts study;
    study.metric = metric.name;
    study.trials = {{.id = 0}};
    read_curves(run_.path() / metric.name, study);
    ASSERT_EQ(study.trials[0].metrics.size(), 1u);
    EXPECT_EQ(study.trials[0].metrics[0].value, value);
  }
}

// At the best evaluation, not the last.
TEST_F(RunFolder, LossesOfPartsAreReadWhereTheBestIs) {
  Trial trial = trial_of(0);
  writer_.on_start(trial);
  for (const double loss : {2.0, 1.0, 3.0}) {
    take_step(writer_, trial, loss);
    EvalResult result{.trial = trial.id, .loss = loss, .task = {{"valid_loss.code", loss + 0.5}, {"exact_match", 1}}};
    writer_.on_evaluation(trial, result, {loss, loss});
  }
  files_.on_round(1);
  EXPECT_NE(metrics(0).find(R"({"step":2,"valid_loss":1.0,"valid_loss.code":1.5})"), std::string::npos) << metrics(0);
  ReportFacts study;
  study.trials.push_back({.id = 0, .metric = 1.0, .step = 2});
  study.best = 0;
  read_curves(run_.path(), study);
  EXPECT_EQ(study.trials[0].part_losses, (std::vector<std::pair<std::string, double>>{{"code", 1.5}}));
  EXPECT_NE(report_markdown(study).find("Its loss by part of the validation data: code 1.5."), std::string::npos);
}

TEST_F(RunFolder, OnlyWhatIsThereIsNamed) {
  ReportFacts study;
  study.model = "base";
  study.trials = {{.id = 0, .state = "completed", .metric = 2.0, .step = 3}};
  study.best = 0;
  find_results(run_.path(), study);
  for (const std::string& text : {report_text(study), report_html(study), report_markdown(study)}) {
    EXPECT_EQ(text.find("/best"), std::string::npos) << text;
    EXPECT_EQ(text.find("best.yaml"), std::string::npos) << text;
  }
  const fs::path best = run_.path() / "best";
  for (const char* kind : {"adapter_config.json", "config.json"}) {
    fs::remove_all(best);
    fs::create_directories(best);
    write_text(best / kind, "{}");
    write_text(run_.path() / "best.yaml", "");
    find_results(run_.path(), study);
    const bool adapter = study.best_weights == BestWeights::adapter;
    EXPECT_EQ(adapter, kind == std::string("adapter_config.json"));
    for (const std::string& text : {report_text(study), report_html(study), report_markdown(study)}) {
      EXPECT_NE(text.find("train --config " + (run_.path() / "best.yaml").string()), std::string::npos) << text;
      EXPECT_EQ(text.find("--adapter " + best.string()) != std::string::npos, adapter) << text;
      EXPECT_EQ(text.find("--model " + best.string() + " ") != std::string::npos, !adapter) << text;
    }
  }
}

TEST_F(RunFolder, NumbersThatJsonLacksAreStringsAndReadBack) {
  Trial trial = trial_of(0);
  writer_.on_start(trial);
  take_step(writer_, trial, kNan, kInf);
  writer_.on_evaluation(trial, {.trial = trial.id, .loss = -kInf, .token_accuracy = 0}, {-kInf, -kInf});
  files_.on_round(1);
  EXPECT_NE(metrics(0).find(R"("train_loss":"nan")"), std::string::npos) << metrics(0);
  EXPECT_NE(metrics(0).find(R"("grad_norm":"inf")"), std::string::npos) << metrics(0);
  ReportFacts study;
  study.trials.push_back({.id = 0});
  read_curves(run_.path(), study);
  ASSERT_EQ(study.trials[0].train_loss.size(), 1u);
  EXPECT_TRUE(std::isnan(study.trials[0].train_loss[0].value));
  ASSERT_EQ(study.trials[0].metrics.size(), 1u);
  EXPECT_EQ(study.trials[0].metrics[0].value, -kInf);
}

TEST_F(RunFolder, WhatIsWrittenOfTwoTrialsStaysApart) {
  Trial first = trial_of(0), second = trial_of(1);
  writer_.on_start(first);
  writer_.on_start(second);
  first.tokens = second.tokens = 10;
  const std::vector<StepResult> results{step_of(first, 1, 1.0), step_of(second, 1, 2.0)};
  const std::vector<const Trial*> trials{&first, &second};
  writer_.on_steps(results, trials);
  files_.on_round(1);
  EXPECT_NE(metrics(0).find(R"("train_loss":1.0,)"), std::string::npos) << metrics(0);
  EXPECT_NE(metrics(1).find(R"("train_loss":2.0,)"), std::string::npos) << metrics(1);
}

TEST_F(RunFolder, TheDefaultRunLeavesNoFolder) {
  Trial trial = trial_of(-1);
  writer_.on_start(trial);
  take_step(writer_, trial, 1.0);
  writer_.on_end(trial);
  EXPECT_TRUE(fs::is_empty(run_.path()));
}

TEST_F(RunFolder, TheRecordHoldsTheEndAndTheLineage) {
  Trial trial = trial_of(7);
  writer_.on_start(trial);
  take_step(writer_, trial, 1.5);
  EXPECT_FALSE(fs::exists(trial_folder(run_.path(), 7) / "trial.json")) << "it is not over yet";
  trial.state = TrialState::stopped;
  trial.reason = "rung 9: 7th of 12";
  trial.lineage = {{.step = 4, .what = Action::Do::copy, .from = TrialId{3}, .params = {{"train.learning_rate", 1e-3}}},
                   {.step = 8, .what = Action::Do::change, .params = {{"train.learning_rate", 2e-3}}}};
  writer_.on_end(trial);
  EXPECT_EQ(record(7), Json::parse(R"({
    "id": 7,
    "params": {"train.learning_rate": 0.0003, "train.schedule": "linear"},
    "state": "stopped",
    "reason": "rung 9: 7th of 12",
    "lineage": [{"step": 4, "do": "copy", "from": 3, "params": {"train.learning_rate": 0.001}},
                {"step": 8, "do": "change", "params": {"train.learning_rate": 0.002}}]
  })"));
  EXPECT_NE(metrics(7).find(R"("step":1,)"), std::string::npos) << "the end of a trial writes what was left";
}

TEST_F(RunFolder, CurvesAreReadByTrialAndAMissingFileLeavesThemEmpty) {
  Trial trial = trial_of(1);
  writer_.on_start(trial);
  take_step(writer_, trial, 2.0);
  writer_.on_evaluation(trial, {.trial = trial.id, .loss = 3.0, .token_accuracy = 0}, {3.0, 3.0});
  writer_.on_end(trial);
  ReportFacts study;
  study.trials = {{.id = 0}, {.id = 1}};
  read_curves(run_.path(), study);
  EXPECT_TRUE(study.trials[0].train_loss.empty());
  ASSERT_EQ(study.trials[1].train_loss.size(), 1u);
  EXPECT_EQ(study.trials[1].train_loss[0].step, 1);
  EXPECT_EQ(study.trials[1].train_loss[0].value, 2.0);
  ASSERT_EQ(study.trials[1].metrics.size(), 1u);
  EXPECT_EQ(study.trials[1].metrics[0].value, 3.0);
}

// What is logged besides is taken at the step of the trial's metric; what was not measured there, where it was last.
TEST_F(RunFolder, FurtherMetricsAreThoseOfTheTrialsBestStep) {
  const fs::path folder = trial_folder(run_.path(), 0);
  fs::create_directories(folder);
  std::ofstream(folder / "metrics.jsonl") << R"({"step":10,"valid_loss":1.5,"macro_f1":0.5})"
                                             "\n"
                                             R"({"step":20,"valid_loss":1.75,"macro_f1":0.25,"exact_match":0.125})"
                                             "\n"
                                             R"({"step":30,"valid_loss":2.0,"macro_f1":0.75,"exact_match":"nan"})"
                                             "\n";
  ReportFacts study;
  study.further = {"macro_f1", "exact_match", "command"};
  study.trials = {{.id = 0, .metric = 1.5, .step = 10}};
  for (const bool again : {false, true}) {
    SCOPED_TRACE(again);  // of a report that was read back
    read_curves(run_.path(), study);
    const auto& further = study.trials[0].further;
    ASSERT_EQ(further.size(), 2u) << "command was not measured";
    EXPECT_EQ(further[0].metric, "macro_f1");
    EXPECT_EQ(further[0].value, 0.5);
    EXPECT_EQ(further[0].step, 10);
    EXPECT_EQ(further[1].value, 0.125) << "not a number says nothing";
    EXPECT_EQ(further[1].step, 20);
  }
}

TEST_F(RunFolder, ADamagedLineIsNamed) {
  const fs::path path = trial_folder(run_.path(), 0) / "metrics.jsonl";
  fs::create_directories(path.parent_path());
  ReportFacts study;
  study.trials.push_back({.id = 0});
  for (const char* damaged : {"{\"step\": 2, \"train_", "[1]", "{\"train_loss\": 1}", "{\"step\": 1.5}"}) {
    write_text(path, std::string("{\"step\": 1, \"train_loss\": 1}\n") + damaged + "\n");
    try {
      read_curves(run_.path(), study);
      ADD_FAILURE() << damaged;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(path.string() + ":2"), std::string::npos) << error.what();
    }
  }
}

TEST_F(RunFolder, ReportsAreThreeFilesAndNothingElse) {
  ReportFacts study;
  study.model = "model";
  study.trials.push_back({.id = 0, .state = "completed"});
  write_reports(run_.path(), study);
  EXPECT_EQ(std::distance(fs::directory_iterator(run_.path()), {}), 3);
  EXPECT_EQ(Json::parse(read_text(run_.path() / "report.json")), report_json(study));
  EXPECT_EQ(read_text(run_.path() / "report.md"), report_markdown(study));
  EXPECT_EQ(read_text(run_.path() / "report.html"), report_html(study));
}

// A save covers what was there: the rest is undone, and what a user put beside it stays.
TEST_F(RunFolder, ResumingUndoesWhatCameAfterTheSave) {
  Trial going_on = trial_of(0), ended = trial_of(1), later = trial_of(2);
  for (Trial* trial : {&going_on, &ended, &later}) writer_.on_start(*trial);
  ended.state = going_on.state = TrialState::stopped;
  going_on.schedule = {{1, {}}};
  for (const Trial* trial : {&going_on, &ended}) writer_.on_end(*trial);
  const fs::path notes = trial_folder(run_.path(), 2) / "notes.txt", named = run_.path() / "trials" / "mine";
  write_text(notes, "a user's");
  fs::create_directory(named);
  going_on.state = TrialState::running;
  StudyState state;
  state.trials = {going_on, ended};
  writer_.on_resume(state);
  EXPECT_FALSE(fs::exists(trial_folder(run_.path(), 0) / "trial.json"));
  EXPECT_FALSE(fs::exists(trial_folder(run_.path(), 0) / "schedule.json"));
  EXPECT_TRUE(fs::exists(trial_folder(run_.path(), 0) / "metrics.jsonl"));
  EXPECT_TRUE(fs::exists(trial_folder(run_.path(), 1) / "trial.json"));
  EXPECT_FALSE(fs::exists(trial_folder(run_.path(), 2) / "metrics.jsonl"));
  EXPECT_TRUE(fs::exists(notes));
  EXPECT_TRUE(fs::exists(named));
  fs::remove(notes);
  writer_.on_resume(state);
  EXPECT_FALSE(fs::exists(trial_folder(run_.path(), 2)));
}

// What it left of trials that have ended is still what it was; the others write theirs again.
TEST_F(RunFolder, MustHoldOfEndedTrialsWhatWasSaved) {
  StudyState state;
  for (const TrialState end : {TrialState::completed, TrialState::stopped, TrialState::running}) {
    Trial trial = trial_of(std::ssize(state.trials));
    writer_.on_start(trial);
    trial.state = end;
    if (end == TrialState::completed) trial.schedule = {{2, {{"train.learning_rate", 1e-3}}}};
    if (end != TrialState::running) writer_.on_end(trial);
    state.trials.push_back(trial);
  }
  EXPECT_NO_THROW(require_trial_files(run_.path(), state));
  write_text(trial_folder(run_.path(), 2) / "trial.json", "anything");
  EXPECT_NO_THROW(require_trial_files(run_.path(), state));
  const auto refused = [&](const fs::path& name, const std::string& content, const std::string& words) {
    const fs::path file = run_.path() / "trials" / name;
    const std::string whole = fs::exists(file) ? read_text(file) : "";
    if (content.empty()) fs::remove(file);
    if (!content.empty()) write_text(file, content);
    try {
      require_trial_files(run_.path(), state);
      ADD_FAILURE() << name;
    } catch (const Error& error) {
      EXPECT_EQ(error.what(), file.string() + ": " + words);
    }
    if (whole.empty()) fs::remove(file);
    if (!whole.empty()) write_text(file, whole);
  };
  refused("000000/trial.json", read_text(run_.path() / "trials/000001/trial.json"),
          "is no longer what was saved of the trial");
  refused("000001/trial.json", "", "is gone, though the trial has ended");
  refused("000000/schedule.json", "[]\n", "is no longer what was saved of the trial");
  refused("000000/schedule.json", "", "is gone, though the trial has ended");
  refused("000001/schedule.json", "[]\n", "was not there when the trial ended: its hyperparameters never changed");
  EXPECT_NO_THROW(require_trial_files(run_.path(), state));
}

}  // namespace
}  // namespace finetune::testing
