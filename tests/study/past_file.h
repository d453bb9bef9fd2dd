// A database as Optuna writes it, made of plain rows, and whatever else a case puts into it.
#pragma once

#include "models/model_files.h"
#include "study/database.h"
#include "study/optuna_schema.h"

namespace finetune::testing {

class PastFile {
 public:
  /// Study 1, "study", of one objective to minimise, without trials.
  explicit PastFile(const std::string& name = "past.db") : file_(folder_.path() / name) {
    run(kOptunaSchema);
    run("INSERT INTO alembic_version VALUES ('v3.2.0.a'); INSERT INTO version_info VALUES (1, 12, '5.0.0');"
        "INSERT INTO studies VALUES (1, 'study');"
        "INSERT INTO study_directions VALUES (1, 'MINIMIZE', 1, 0)");
  }
  void run(Sql script) { Database(file_).execute(script); }
  /// A trial with x in [0, 1]; ids are numbers + 1.
  void trial(std::int64_t number, const char* state, double x, std::optional<double> value, std::int64_t study = 1) {
    Database database(file_);
    database.run("INSERT INTO trials (trial_id, number, study_id, state) VALUES (?1, ?2, ?3, ?4)",
                 {number + 1, number, study, state});
    database.run(
        "INSERT INTO trial_params (trial_id, param_name, param_value, distribution_json) VALUES (?1, 'x', ?2, "
        "'{\"name\": \"FloatDistribution\", \"attributes\": {\"step\": null, \"low\": 0.0, \"high\": 1.0, "
        "\"log\": false}}')",
        {number + 1, x});
    if (value)
      database.run("INSERT INTO trial_values (trial_id, objective, value, value_type) VALUES (?1, 0, ?2, 'FINITE')",
                   {number + 1, *value});
  }
  void at_step(std::int64_t number, std::int64_t step, double value) {
    Database(file_).run(
        "INSERT INTO trial_intermediate_values (trial_id, step, intermediate_value, intermediate_value_type) VALUES "
        "(?1, ?2, ?3, 'FINITE')",
        {number + 1, step, value});
  }
  std::string path() const { return file_.string(); }

 private:
  TemporaryFolder folder_;
  std::filesystem::path file_;
};

}  // namespace finetune::testing
