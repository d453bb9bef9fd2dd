// study.db: Optuna's tables, what stands in them during and after a study, and what a reader sees meanwhile.
#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <regex>

#include "core/version.h"
#include "models/model_files.h"
#include "study/run_folder.h"
#include "study/study_record.h"
#include "support/fake_lane.h"

namespace finetune::testing {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

StudyFacts facts_of(SearchSpace space, const Metric& metric = metrics().front()) {
  return {
      .space = std::move(space), .metric = metric.name, .direction = metric.direction, .model = "/models/a \"b\" 'c'"};
}

SearchSpace three_kinds() {
  return {{{.name = "train.learning_rate", .low = 1e-5, .high = 1e-2, .log = true},
           {.name = "train.lora.rank", .choices = {std::int64_t{8}, std::int64_t{16}}},
           {.name = "train.batch_size", .low = 1, .high = 9, .integer = true}}};
}

Trial trial_of(std::int64_t id, Params params = {}) {
  Trial trial;
  trial.id = TrialId{id};
  trial.params = std::move(params);
  return trial;
}

class Record : public ::testing::Test {
 protected:
  StudyRecord& begin(SearchSpace space = three_kinds(), const Metric& metric = metrics().front()) {
    record_ = std::make_unique<StudyRecord>(file_.parent_path(), facts_of(std::move(space), metric));
    reader_ = std::make_unique<Database>(file_);
    return *record_;
  }
  std::vector<SqlRow> rows(Sql query, std::initializer_list<SqlValue> values = {}) {
    return reader_->run(query, values);
  }
  std::int64_t trials() { return std::get<std::int64_t>(rows("SELECT count(*) FROM trials")[0][0]); }
  SqlRow states() {
    SqlRow list;
    for (const SqlRow& row : rows("SELECT state FROM trials ORDER BY number")) list.push_back(row[0]);
    return list;
  }
  /// Of trial `id`; "" where there is none.
  std::string attribute(std::int64_t id, const std::string& key) {
    const auto found =
        rows("SELECT value_json FROM trial_user_attributes JOIN trials USING (trial_id) WHERE number = ?1 AND key = ?2",
             {id, key});
    return found.empty() ? "" : std::get<std::string>(found[0][0]);
  }
  std::map<std::string, double> params(std::int64_t id) {
    std::map<std::string, double> values;
    for (const SqlRow& row :
         rows("SELECT param_name, param_value FROM trial_params JOIN trials USING (trial_id) WHERE number = ?1", {id}))
      values[std::get<std::string>(row[0])] = std::get<double>(row[1]);
    return values;
  }
  TemporaryFolder folder_;
  const fs::path file_ = folder_.path() / "study.db";
  std::unique_ptr<StudyRecord> record_;
  std::unique_ptr<Database> reader_;
};

TEST_F(Record, HoldsEveryTableAndIndexOfOptuna) {
  begin();
  std::vector<std::string> tables, indexes;
  for (const SqlRow& row : rows("SELECT type, name FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name"))
    (row[0] == SqlValue("table") ? tables : indexes).push_back(std::get<std::string>(row[1]));
  EXPECT_EQ(tables, (std::vector<std::string>{"alembic_version", "ft_run", "ft_saves", "ft_trials", "ft_workers",
                                              "studies", "study_directions", "study_system_attributes",
                                              "study_user_attributes", "trial_heartbeats", "trial_intermediate_values",
                                              "trial_params", "trial_system_attributes", "trial_user_attributes",
                                              "trial_values", "trials", "version_info"}));
  EXPECT_EQ(indexes, (std::vector<std::string>{"ix_studies_study_name", "ix_trials_study_id"}));
  EXPECT_EQ(rows("SELECT version_num FROM alembic_version")[0], (SqlRow{"v3.2.0.a"}));
  EXPECT_EQ(rows("SELECT version_info_id, schema_version FROM version_info")[0],
            (SqlRow{std::int64_t{1}, std::int64_t{12}}));
  EXPECT_EQ(rows("PRAGMA journal_mode")[0], SqlRow{"wal"});
  EXPECT_EQ(rows("PRAGMA integrity_check")[0], SqlRow{"ok"});
}

TEST_F(Record, SaysWhatTheStudyIs) {
  begin(three_kinds(), metric_named("token_accuracy"));
  EXPECT_EQ(rows("SELECT study_id, study_name FROM studies"), (std::vector<SqlRow>{{std::int64_t{1}, "study"}}));
  EXPECT_EQ(rows("SELECT direction, study_id, objective FROM study_directions"),
            (std::vector<SqlRow>{{"MAXIMIZE", std::int64_t{1}, std::int64_t{0}}}));
  EXPECT_EQ(rows("SELECT key, value_json FROM study_system_attributes"),
            (std::vector<SqlRow>{{"study:metric_names", R"(["token_accuracy"])"}}));
  EXPECT_EQ(rows("SELECT key, value_json FROM study_user_attributes"),
            (std::vector<SqlRow>{{"version", "\"finetune_tune " + std::string(kVersion) + "\""},
                                 {"model", R"("/models/a \"b\" 'c'")"},
                                 {"time_zone", "\"UTC\""}}));
}

TEST_F(Record, ParametersAreNumbersWithTheirDistributions) {
  StudyRecord& record = begin();
  record.on_start(trial_of(
      0,
      {{"train.learning_rate", 3e-4}, {"train.lora.rank", std::int64_t{16}}, {"train.batch_size", std::int64_t{3}}}));
  record.on_round(0);
  EXPECT_EQ(
      rows("SELECT param_name, param_value, distribution_json FROM trial_params ORDER BY param_id"),
      (std::vector<SqlRow>{
          {"train.learning_rate", 3e-4,
           R"({"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-05, "high": 0.01, "log": true}})"},
          {"train.lora.rank", 1.0, R"({"name": "CategoricalDistribution", "attributes": {"choices": [8, 16]}})"},
          {"train.batch_size", 3.0,
           R"({"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 1, "high": 9}})"}}));
}

TEST_F(Record, WhatATrialDoesNotHaveOrOptunaCouldNotShowIsAbsent) {
  StudyRecord& record = begin();
  record.on_start(trial_of(0, {{"train.lora.rank", std::int64_t{32}},
                               {"train.weight_decay", 0.1},
                               {"train.learning_rate", std::string("a word")},
                               {"train.batch_size", std::int64_t{3}}}));
  record.on_round(0);
  EXPECT_EQ(params(0), (std::map<std::string, double>{{"train.batch_size", 3}}));
}

// A whole study on a stand-in lane: the record beside what the study itself says.
TEST_F(Record, EndsAsTheStudyDoes) {
  const std::vector<Value> rates{0.1, 1000.0, 0.5, 0.2};
  FakeLane lane(8);
  const auto tuner = tuner_over(rates, "asha", 9);
  StudyRecord& record = begin({{{.name = "learning_rate", .choices = rates}}});
  const StudyResult result = Study(options_for(9), *tuner, {&lane}, {&record}).run();
  record.finish();
  ASSERT_EQ(result.trials.size(), 4u);
  EXPECT_EQ(states(), (SqlRow{"PRUNED", "FAIL", "COMPLETE", "PRUNED"}));
  const auto values = rows("SELECT number, value, value_type FROM trials LEFT JOIN trial_values USING (trial_id)");
  const std::regex time(R"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6})");
  for (const Trial& trial : result.trials) {
    SCOPED_TRACE(trial.id.value);
    const SqlRow& value = values[static_cast<std::size_t>(trial.id.value)];
    EXPECT_EQ(value[0], SqlValue(trial.id.value));
    EXPECT_EQ(value[1], trial.best_metric ? SqlValue(*trial.best_metric) : SqlValue());
    EXPECT_EQ(value[2], trial.best_metric ? SqlValue("FINITE") : SqlValue());
    EXPECT_EQ(attribute(trial.id.value, "reason"), trial.reason.empty() ? "" : Json(trial.reason).dump());
    EXPECT_EQ(params(trial.id.value).at("learning_rate"), static_cast<double>(trial.id.value));
    const SqlRow times = rows(
        "SELECT datetime_start, datetime_complete, datetime_start <= datetime_complete FROM trials"
        " WHERE number = ?1",
        {trial.id.value})[0];
    EXPECT_TRUE(std::regex_match(std::get<std::string>(times[0]), time)) << std::get<std::string>(times[0]);
    EXPECT_TRUE(std::regex_match(std::get<std::string>(times[1]), time)) << std::get<std::string>(times[1]);
    EXPECT_EQ(times[2], SqlValue(std::int64_t{1}));
  }
  const auto curve = rows(
      "SELECT step, intermediate_value, intermediate_value_type FROM trial_intermediate_values"
      " JOIN trials USING (trial_id) WHERE number = 2 ORDER BY step");
  ASSERT_EQ(curve.size(), 3u) << "rungs 1 and 3, and the end";
  EXPECT_EQ(curve[0], (SqlRow{std::int64_t{1}, 0.5, "FINITE"}));
  EXPECT_EQ(curve[2], (SqlRow{std::int64_t{9}, *result.trials[2].metric, "FINITE"}));
}

TEST_F(Record, TimesAreUtc) {
  StudyRecord& record = begin();
  record.on_start(trial_of(0));
  record.on_round(0);
  EXPECT_EQ(rows("SELECT abs(julianday('now') - julianday(datetime_start)) < 0.01 FROM trials")[0][0],
            SqlValue(std::int64_t{1}));
}

TEST_F(Record, APopulationsParametersStandAsAtTheEndWithTheWayThere) {
  const std::vector<Value> rates{0.01, 0.02, 0.3, 0.4};
  FakeLane lane(8);
  const auto tuner = tuner_over(rates, "pbt", 8, {{"interval", std::int64_t{4}}, {"quantile", 0.25}});
  const SearchSpace space{{{.name = "learning_rate", .choices = rates}}};
  StudyRecord& record = begin(space);
  const StudyResult result = Study(options_for(8), *tuner, {&lane}, {&record}).run();
  record.finish();
  ASSERT_NE(result.trials[0].params, (Params{{"learning_rate", 0.01}})) << "it copied another";
  for (const Trial& trial : result.trials) {
    const auto choice = *choice_index(space.parameters[0], trial.params[0].second);
    EXPECT_EQ(params(trial.id.value), (std::map<std::string, double>{{"learning_rate", choice}}));
    const std::string lineage = trial.lineage.empty() ? "" : lineage_json(trial).dump();
    EXPECT_EQ(attribute(trial.id.value, "lineage"), lineage);
  }
}

TEST_F(Record, APausedTrialRunsOnWithAnAttribute) {
  StudyRecord& record = begin();
  const Trial trial = trial_of(0);
  record.on_start(trial);
  record.on_action(trial, {.trial = trial.id, .what = Action::Do::pause});
  record.on_round(0);
  EXPECT_EQ(states(), SqlRow{"RUNNING"});
  EXPECT_EQ(attribute(0, "paused"), "true");
  record.on_action(trial, {.trial = trial.id, .what = Action::Do::resume});
  record.on_round(1);
  EXPECT_EQ(attribute(0, "paused"), "");
  record.on_action(trial, {.trial = trial.id, .what = Action::Do::pause});
  record.on_round(2);
  Trial ended = trial;
  ended.state = TrialState::stopped;
  ended.reason = "not resumed";
  record.on_end(ended);
  record.finish();
  EXPECT_EQ(states(), SqlRow{"PRUNED"});
  EXPECT_EQ(attribute(0, "paused"), "") << "who has ended does not wait";
}

TEST_F(Record, ValuesThatAreNotNumbersKeepTheirKind) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  StudyRecord& record = begin();
  Trial trial = trial_of(0);
  record.on_start(trial);
  for (const double value : {std::numeric_limits<double>::quiet_NaN(), kInfinity, -kInfinity}) {
    ++trial.step;
    record.on_evaluation(trial, {}, {value, value});
  }
  trial.state = TrialState::failed;
  record.on_end(trial);
  record.on_round(0);
  EXPECT_EQ(rows("SELECT intermediate_value, intermediate_value_type FROM trial_intermediate_values ORDER BY step"),
            (std::vector<SqlRow>{{SqlValue(), "NAN"}, {SqlValue(), "INF_POS"}, {SqlValue(), "INF_NEG"}}));
  EXPECT_EQ(states(), SqlRow{"FAIL"});
  EXPECT_TRUE(rows("SELECT * FROM trial_values").empty());
}

TEST_F(Record, TheDefaultConfigurationIsNoTrial) {
  StudyRecord& record = begin();
  const Trial trial = trial_of(-1);
  record.on_start(trial);
  record.on_evaluation(trial, {}, {1.0, 1.0});
  record.on_end(trial);
  record.on_round(0);
  EXPECT_EQ(trials(), 0);
  EXPECT_TRUE(rows("SELECT * FROM trial_intermediate_values").empty());
}

TEST_F(Record, AReaderSeesWholeRounds) {
  StudyRecord& record = begin();
  Trial trial = trial_of(0);
  record.on_start(trial);
  record.on_start(trial_of(1));
  EXPECT_EQ(trials(), 0);
  record.on_round(0);
  EXPECT_EQ(trials(), 2);
  reader_->execute("BEGIN");
  EXPECT_EQ(trials(), 2);
  record.on_start(trial_of(2));
  trial.state = TrialState::stopped;
  record.on_end(trial);
  record.on_round(1);  // a reader in the middle of something stops nobody
  EXPECT_EQ(trials(), 2);
  EXPECT_EQ(states(), (SqlRow{"RUNNING", "RUNNING"})) << "it goes on seeing what it began with";
  reader_->execute("COMMIT");
  EXPECT_EQ(states(), (SqlRow{"PRUNED", "RUNNING", "RUNNING"}));
}

// Something in the middle of a round cannot be written: nothing of the round is.
TEST_F(Record, ARoundThatCannotBeWrittenLeavesTheOneBefore) {
  StudyRecord& record = begin();
  record.on_start(trial_of(0));
  record.on_round(0);
  reader_->execute("CREATE TRIGGER broken BEFORE UPDATE ON trials BEGIN SELECT RAISE(ABORT, 'no room for this'); END");
  record.on_start(trial_of(1));
  record.on_end(trial_of(0));
  const std::string error = error_of([&] { record.on_round(1); }, ErrorKind::failed);
  EXPECT_TRUE(holds(error, file_.string() + ": "));
  EXPECT_TRUE(holds(error, "no room for this"));
  EXPECT_EQ(trials(), 1);
  reader_->execute("DROP TRIGGER broken");
  record.on_round(2);
  EXPECT_EQ(trials(), 2) << "what was not written is not forgotten";
}

// What it says of trials that have ended is what was saved of them; the others go on.
TEST_F(Record, MustSayOfEndedTrialsWhatWasSaved) {
  StudyRecord& record = begin();
  StudyState state;
  for (const TrialState end : {TrialState::completed, TrialState::stopped, TrialState::running}) {
    Trial trial = trial_of(std::ssize(state.trials), {{"train.learning_rate", 1e-3}});
    record.on_start(trial);
    trial.state = end;
    if (end == TrialState::completed) trial.best_metric = 0.1;
    if (end != TrialState::running) record.on_end(trial);
    state.trials.push_back(trial);
  }
  record.on_round(0);
  const auto complaint = [&] { return error_of([&] { require_recorded(file_, state); }, ErrorKind::bad_input); };
  EXPECT_NO_THROW(require_recorded(file_, state));
  rows("UPDATE trials SET state = 'FAIL' WHERE state = 'RUNNING'");
  EXPECT_NO_THROW(require_recorded(file_, state));
  rows("UPDATE trials SET state = 'COMPLETE' WHERE state = 'PRUNED'");
  EXPECT_TRUE(holds(complaint(), "says something else of trial 1")) << complaint();
  rows("UPDATE trials SET state = 'PRUNED' WHERE number = 1");
  rows("UPDATE trial_values SET value = 0.2");
  EXPECT_TRUE(holds(complaint(), "study.db: says something else of trial 0")) << complaint();
  rows("UPDATE trial_values SET value = 0.1");
  rows("DELETE FROM trials WHERE number = 1");
  EXPECT_TRUE(holds(complaint(), "says something else of trial 1")) << complaint();
}

TEST_F(Record, TheFileIsThereWithItsTablesOrNotAtAll) {
  begin();
  EXPECT_FALSE(fs::exists(file_.string() + ".tmp"));
  EXPECT_FALSE(fs::exists(file_.string() + ".tmp-wal"));
  for (const char* content : {"", "mine", "SQLite format 3"}) {
    const fs::path run = folder_.path() / "other", other = run / "study.db";
    fs::create_directories(run);
    write_text(other, content);
    const std::string error = error_of([&] { StudyRecord record(run, facts_of({})); }, ErrorKind::failed);
    EXPECT_TRUE(holds(error, other.string() + ": exists already"));
    EXPECT_EQ(read_text(other), content) << "it is left alone";
  }
  for (const fs::path& folder : {folder_.path() / "missing", fs::path("/proc")}) {  // the superuser cannot write there
    const std::string error = error_of([&] { StudyRecord record(folder, facts_of({})); }, ErrorKind::failed);
    EXPECT_TRUE(holds(error, (folder / "study.db").string()));
  }
}

}  // namespace
}  // namespace finetune::testing
