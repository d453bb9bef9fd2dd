// Databases of others: what is read of them, and each way in which one can be wrong.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "study/past_file.h"
#include "study/past_study.h"

namespace finetune::testing {
namespace {

std::string refusal(const std::string& entry) {
  return error_of([&] { read_past_study(entry); });
}

TEST(PastStudy, IsReadWithItsTrialsByNumber) {
  PastFile file;
  file.trial(1, "PRUNED", 0.25, 7.0);
  file.at_step(1, 20, 6.0);
  file.at_step(1, 10, 8.0);
  file.trial(0, "COMPLETE", 0.5, 0.125);
  file.trial(2, "WAITING", 0.75, {});
  file.run(
      "INSERT INTO study_system_attributes VALUES (1, 1, 'study:metric_names', '[\"accuracy\"]');"
      "INSERT INTO study_user_attributes VALUES (1, 1, 'model', '\"/models/a\"');"
      "INSERT INTO trial_params VALUES (50, 1, 'c', 1.0, '{\"name\": \"CategoricalDistribution\", \"attributes\": "
      "{\"choices\": [null, \"b\", 3]}}');"
      "INSERT INTO trial_params VALUES (51, 1, 'n', 8.0, '{\"name\": \"IntDistribution\", \"attributes\": {\"log\": "
      "false, \"step\": 1, \"low\": 1, \"high\": 9}}');"
      "INSERT INTO trial_intermediate_values VALUES (60, 1, 5, NULL, 'NAN')");
  const PastStudy past = read_past_study(file.path());
  EXPECT_EQ(past.direction, Direction::minimize);
  EXPECT_EQ(past.metric, "accuracy");
  EXPECT_EQ(past.model, "/models/a");
  ASSERT_EQ(past.trials.size(), 3u);
  EXPECT_EQ(past.trials[0].state, PastState::complete);
  EXPECT_EQ(past.trials[0].value, 0.125);
  EXPECT_EQ(past.trials[0].params, (Params{{"x", 0.5}, {"c", std::string("b")}, {"n", std::int64_t{8}}}));
  EXPECT_TRUE(past.trials[0].curve.empty()) << "a value that is not finite is none";
  EXPECT_EQ(past.trials[1].state, PastState::pruned);
  EXPECT_EQ(past.trials[1].curve, (std::vector<std::pair<std::int64_t, double>>{{10, 8.0}, {20, 6.0}}));
  EXPECT_EQ(past.trials[2].state, PastState::unfinished);
}

TEST(PastStudy, OneOfSeveralIsNamed) {
  PastFile file;
  file.run("INSERT INTO studies VALUES (2, 'other'); INSERT INTO study_directions VALUES (2, 'MAXIMIZE', 2, 0)");
  file.trial(0, "COMPLETE", 0.5, 1.0);
  file.trial(1, "COMPLETE", 0.75, 2.0, 2);
  EXPECT_EQ(refusal(file.path()), file.path() + ": has 2 studies (study, other); name one: FILE#NAME");
  const PastStudy other = read_past_study(file.path() + "#other");
  EXPECT_EQ(other.direction, Direction::maximize);
  ASSERT_EQ(other.trials.size(), 1u);
  EXPECT_EQ(other.trials[0].value, 2.0);
  EXPECT_EQ(refusal(file.path() + "#third"), file.path() + ": has no study third; there is study, other");
}

TEST(PastStudy, AFileMayHaveAHashInItsName) {
  PastFile file("a#b.db");
  file.trial(0, "COMPLETE", 0.5, 1.0);
  EXPECT_EQ(read_past_study(file.path()).trials.size(), 1u);
  EXPECT_EQ(read_past_study(file.path() + "#study").trials.size(), 1u);
}

struct Wrong {
  const char* name;
  Sql script;
  const char* error;
};

class WrongDatabase : public ::testing::TestWithParam<Wrong> {};

TEST_P(WrongDatabase, IsRefusedInOneLine) {
  PastFile file;
  file.trial(0, "COMPLETE", 0.5, 1.0);
  file.run(GetParam().script);
  const std::string error = refusal(file.path());
  EXPECT_EQ(error, file.path() + ": " + GetParam().error);
}

INSTANTIATE_TEST_SUITE_P(
    PastStudy, WrongDatabase,
    ::testing::Values(
        Wrong{"version", "UPDATE version_info SET schema_version = 11", "has Optuna's schema version 11; 12 is read"},
        Wrong{"no_version", "DELETE FROM version_info", "has Optuna's schema version -1; 12 is read"},
        Wrong{
            "revision", "UPDATE alembic_version SET version_num = 'v2.6.0.a'",
            "has Optuna's revision \"v2.6.0.a\"; v3.2.0.a is read, which `optuna storage upgrade` makes of older ones"},
        Wrong{"no_table", "DROP TABLE trial_values", "is no database of Optuna: there is no table trial_values"},
        Wrong{"view", "ALTER TABLE trials RENAME TO t; CREATE VIEW trials AS SELECT * FROM t",
              "is no database of Optuna: there is no table trials"},
        Wrong{"virtual_table", "DROP TABLE trials; CREATE VIRTUAL TABLE trials USING rtree(id, a, b)",
              "is no database of Optuna: there is no table trials"},
        Wrong{"no_study", "DELETE FROM studies", "has no study"},
        Wrong{"objectives", "INSERT INTO study_directions VALUES (2, 'MINIMIZE', 1, 1)",
              "its study has 2 objectives; one is read"},
        Wrong{"state", "UPDATE trials SET state = 'DONE'",
              "trials, row 1: state is \"DONE\", which Optuna does not have"},
        Wrong{"number", "UPDATE trials SET number = 'first'", "trials, row 1: number is a text, not a whole number"},
        Wrong{"value", "UPDATE trial_values SET value = 'low'", "trial_values, row 1: value is a text, not a number"},
        Wrong{"value_type", "UPDATE trial_values SET value_type = 3",
              "trial_values, row 1: the type of its value is \"3\", which Optuna does not have"},
        Wrong{"param", "UPDATE trial_params SET param_value = x'00ff'",
              "trial_params, row 1: param_value is a text, not a number"},
        Wrong{"no_param", "UPDATE trial_params SET param_value = NULL",
              "trial_params, row 1: param_value is nothing, not a number"},
        Wrong{"param_name", "UPDATE trial_params SET param_name = CAST(x'ff' AS TEXT)",
              "trial_params, row 1: param_name is not UTF-8"},
        Wrong{"twice",
              "CREATE TABLE p AS SELECT * FROM trial_params; DROP TABLE trial_params; ALTER TABLE p RENAME TO "
              "trial_params; INSERT INTO trial_params SELECT * FROM trial_params",
              "trial_params, row 2: its trial has x already"},
        Wrong{"distribution", "UPDATE trial_params SET distribution_json = '{\"name\": \"Normal\"}'",
              "trial_params, row 1: distribution_json is none that Optuna 4.9 or 5.0 writes"},
        Wrong{"index",
              "UPDATE trial_params SET param_value = 2, distribution_json = '{\"name\": \"CategoricalDistribution\", "
              "\"attributes\": {\"choices\": [1, 2]}}'",
              "trial_params, row 1: param_value is no index of its choices"},
        Wrong{"fraction", "UPDATE trial_params SET distribution_json = '{\"name\": \"IntDistribution\"}'",
              "trial_params, row 1: param_value is not a whole number"},
        Wrong{"too_many",
              "INSERT INTO trials (number, study_id, state) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 "
              "FROM n LIMIT 100000) SELECT i, 1, 'FAIL' FROM n",
              "trials has more than 100,000 rows, the most that are read"}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(PastStudy, JsonOfAStrangerIsStrict) {
  PastFile file;
  file.trial(0, "COMPLETE", 0.5, 1.0);
  file.run("UPDATE trial_params SET distribution_json = '{\"name\": '");
  EXPECT_TRUE(refusal(file.path()).starts_with(file.path() + ": trial_params, row 1, distribution_json: "));
}

TEST(PastStudy, WhatIsNoDatabaseIsRefused) {
  const TemporaryFolder folder;
  const std::string file = (folder.path() / "train.jsonl").string();
  write_text(file, std::string(2000, '{'));
  EXPECT_EQ(refusal(file), file + ": cannot be read: file is not a database");
  write_text(file, "");
  EXPECT_EQ(refusal(file), file + ": is no database of Optuna: there is no table alembic_version");
}

}  // namespace
}  // namespace finetune::testing
