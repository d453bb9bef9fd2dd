#include "study/study_record.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/error.h"
#include "core/folders.h"
#include "core/version.h"
#include "study/optuna_schema.h"
#include "study/run_folder.h"
#include "study/save_rows.h"
#include "tuners/space/distribution_json.h"

namespace finetune {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kStudy = 1;  // studies.study_id

using Attributes = std::vector<std::pair<const char*, std::string>>;

// As JSON; bytes of a path that are not UTF-8 are replaced.
std::string quoted(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string utc_now() {
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  const std::int64_t microseconds = std::chrono::duration_cast<std::chrono::microseconds>(since).count();
  return fmt::format("{:%Y-%m-%d %H:%M:%S}.{:06}", fmt::gmtime(static_cast<std::time_t>(microseconds / 1'000'000)),
                     microseconds % 1'000'000);
}

// What Optuna writes for a number: its value and what kind of number that is.
std::pair<SqlValue, const char*> number_and_type(double number) {
  if (std::isfinite(number)) return {number, "FINITE"};
  if (std::isnan(number)) return {SqlValue{}, "NAN"};
  return {SqlValue{}, number > 0 ? "INF_POS" : "INF_NEG"};
}

const char* optuna_state(const Trial& trial) {
  switch (trial.state) {
    case TrialState::completed:
      return trial.best_metric ? "COMPLETE" : "FAIL";  // Optuna has no complete trial without a value
    case TrialState::stopped:
      return "PRUNED";
    case TrialState::failed:
      return "FAIL";
    case TrialState::running:
    case TrialState::paused:
      break;
  }
  return "RUNNING";
}

// A host program may set what is not searched, or a value that its parameter does not have: Optuna could not show it.
bool can_be_shown(const ParameterSpec* spec, const Value& value) {
  if (spec == nullptr) return false;
  if (!spec->choices.empty()) return choice_index(*spec, value).has_value();
  return !std::holds_alternative<std::string>(value) && std::isfinite(as_number(value));
}

void describe_study(Database& database, const StudyFacts& facts) {
  const std::string program = std::string("finetune_tune ") + kVersion;
  database.run("INSERT INTO alembic_version VALUES (?1)", {kOptunaRevision});
  database.run("INSERT INTO version_info VALUES (1, ?1, ?2)", {kOptunaSchemaVersion, program});
  database.run("INSERT INTO studies VALUES (?1, 'study')", {kStudy});
  database.run("INSERT INTO study_directions (direction, study_id, objective) VALUES (?1, ?2, 0)",
               {facts.direction == Direction::minimize ? "MINIMIZE" : "MAXIMIZE", kStudy});
  database.run("INSERT INTO study_system_attributes (study_id, key, value_json) VALUES (?1, 'study:metric_names', ?2)",
               {kStudy, "[" + quoted(facts.metric) + "]"});
  Attributes attributes{{"version", program}, {"model", facts.model}, {"time_zone", "UTC"}};
  if (!facts.rung_metric.empty()) attributes.emplace_back(kRungMetricAttribute, facts.rung_metric);
  for (const auto& [key, text] : attributes)
    database.run("INSERT INTO study_user_attributes (study_id, key, value_json) VALUES (?1, ?2, ?3)",
                 {kStudy, key, quoted(text)});
}

void create_tables(Database& database, const StudyFacts& facts) {
  database.execute(kOptunaSchema);
  database.execute(kOwnSchema);
  describe_study(database, facts);
}

// It gets its name when it is complete: Optuna makes the tables that it misses, and would be in our way if it came
// first.
fs::path create_file(const fs::path& file, const StudyFacts& facts) {
  std::error_code error;
  if (fs::exists(file, error)) throw failed(file.string(), "exists already; a study writes a record of its own");
  const fs::path temporary = file.string() + ".tmp";
  for (const char* part : {"", "-wal", "-shm"}) remove_file(temporary.string() + part);
  {
    Database database(temporary);
    Transaction transaction(database);
    create_tables(database, facts);
    transaction.commit();
  }  // closing it takes the log into the file
  sync_file(temporary);
  rename_path(temporary, file);
  return file;
}

void begin_shared(Database& database, const RecordPlace& place, const StudyFacts& facts) {
  database.lock();
  if (database.has_table("studies"))
    throw failed(database.place(),
                 "another process has begun a study there meanwhile; start this one again to join it");
  create_tables(database, facts);
  database.run("INSERT INTO ft_workers (worker, folder, state, beats) VALUES (?1, ?2, 'working', 0)",
               {place.worker, place.folder.string()});
}

fs::path create_record(const RecordPlace& place, const StudyFacts& facts, const OnDiskFault& on_fault) {
  if (!place.is_shared()) return create_file(place.database, facts);
  Database database = opened(place.database, on_fault, Access::create);
  transact(database, on_fault, [&] { begin_shared(database, place, facts); });
  return place.database;
}

}  // namespace

StudyRecord::StudyRecord(const RecordPlace& place, const StudyFacts& facts, As as, OnDiskFault on_fault)
    : place_(place),
      space_(facts.space),
      on_fault_(std::move(on_fault)),
      database_(opened(as == As::created ? create_record(place, facts, on_fault_) : place.database, on_fault_,
                       as == As::resumed ? Access::resume : Access::create)) {}

void require_recorded(const fs::path& file, const StudyState& state) {
  Database database(file, Access::resume);
  for (const Trial& trial : state.trials) {
    if (trial.state == TrialState::running || trial.state == TrialState::paused || trial.elsewhere) continue;
    const auto rows = database.run(
        "SELECT state, value FROM trials LEFT JOIN trial_values USING (trial_id) WHERE trials.trial_id = ?1",
        {row_id(trial.id)});
    const SqlRow saved{optuna_state(trial), trial.best_metric ? SqlValue{*trial.best_metric} : SqlValue{}};
    if (rows.size() != 1 || rows.front() != saved)
      throw bad_input(database.place(), "says something else of trial " + std::to_string(trial.id.value) +
                                            " than what was saved; it was changed after the save");
  }
}

// What was written after the snapshot is undone. Times stay as they are: they tell when something happened first.
void StudyRecord::on_resume(const StudyState& state) {
  transact(database_, on_fault_, [&] {
    if (place_.is_shared())
      come_back(state);
    else
      forget_trials(row_id({std::ssize(state.trials)}));
    for (const Trial& trial : state.trials) rewind(trial);
  });
}

// Trials that began after the snapshot begin again: under the same numbers, unless others have counted on from them;
// then whoever has room takes them up.
void StudyRecord::come_back(const StudyState& state) {
  database_.lock();
  const std::int64_t from = row_id({std::ssize(state.trials)});
  const bool counted_on =
      !database_.run("SELECT 1 FROM ft_trials WHERE trial_id >= ?1 AND worker <> ?2 LIMIT 1", {from, place_.worker})
           .empty();
  if (!counted_on) return forget_trials(from);
  database_.run(
      "UPDATE trials SET state = 'RUNNING', datetime_complete = NULL WHERE trial_id IN (SELECT trial_id FROM ft_trials "
      "WHERE trial_id >= ?1 AND worker = ?2)",
      {from, place_.worker});
  database_.run(
      "DELETE FROM trial_values WHERE trial_id IN (SELECT trial_id FROM ft_trials WHERE trial_id >= ?1 AND "
      "worker = ?2)",
      {from, place_.worker});
  database_.run("UPDATE ft_trials SET worker = ?3 WHERE trial_id >= ?1 AND worker = ?2",
                {from, place_.worker, kNobody});
}

void StudyRecord::forget_trials(std::int64_t from) {
  database_.run("DELETE FROM trial_params WHERE trial_id >= ?1", {from});
  database_.run("DELETE FROM trial_values WHERE trial_id >= ?1", {from});
  database_.run("DELETE FROM trial_intermediate_values WHERE trial_id >= ?1", {from});
  database_.run("DELETE FROM trial_user_attributes WHERE trial_id >= ?1", {from});
  database_.run("DELETE FROM trial_system_attributes WHERE trial_id >= ?1", {from});
  database_.run("DELETE FROM trial_heartbeats WHERE trial_id >= ?1", {from});
  database_.run("DELETE FROM ft_trials WHERE trial_id >= ?1", {from});
  database_.run("DELETE FROM trials WHERE trial_id >= ?1", {from});
}

void StudyRecord::rewind(const Trial& trial) {
  if (trial.elsewhere || (trial.state != TrialState::running && trial.state != TrialState::paused))
    return;  // it had ended before
  const std::int64_t id = row_id(trial.id);
  database_.run("DELETE FROM trial_intermediate_values WHERE trial_id = ?1 AND step > ?2", {id, trial.step});
  database_.run("DELETE FROM trial_values WHERE trial_id = ?1", {id});
  database_.run("UPDATE trials SET state = 'RUNNING', datetime_complete = NULL WHERE trial_id = ?1", {id});
  write_attribute(id, "reason", "");
  write_attribute(id, "paused", trial.state == TrialState::paused ? "true" : "");
  write_attribute(id, "lineage", trial.lineage.empty() ? "" : lineage_json(trial).dump());
  write_params(id, trial.params);
}

void StudyRecord::on_start(const Trial& trial) {
  if (!is_listed(trial.id) || started_.erase(trial.id) > 0) return;
  pending_.push_back([this, id = trial.id, now = utc_now(), params = trial.params] { insert(id, params, now); });
}

void StudyRecord::on_take_up(const Trial& trial) {
  pending_.push_back([this, trial] { rewind(trial); });
}

void StudyRecord::start(const NewTrial& trial) {
  insert(trial.id, trial.params, utc_now());
  database_.run("INSERT INTO ft_trials (trial_id, worker, params) VALUES (?1, ?2, ?3)",
                {row_id(trial.id), place_.worker, to_json(trial.params).dump()});
  started_.insert(trial.id);
}

void StudyRecord::insert(TrialId trial, const Params& params, const std::string& now) {
  database_.run(
      "INSERT INTO trials (trial_id, number, study_id, state, datetime_start) VALUES (?1, ?2, ?3, 'RUNNING', ?4)",
      {row_id(trial), trial.value, kStudy, now});
  write_params(row_id(trial), params);
}

void StudyRecord::require_alive() {
  if (!place_.is_shared()) return;
  const auto alive =
      database_.run("UPDATE ft_workers SET beats = beats + 1 WHERE worker = ?1 AND state = 'working' RETURNING beats",
                    {place_.worker});
  if (alive.empty())
    throw failed(database_.place(), "worker " + std::to_string(place_.worker) +
                                        " was taken for dead: nothing was heard of it for a minute, and others have "
                                        "taken up its trials; `resume` goes on with what is left");
}

void StudyRecord::on_evaluation(const Trial& trial, const EvalResult&, const MetricValues& values) {
  if (!is_listed(trial.id) || !values.compared) return;
  pending_.push_back([this, id = row_id(trial.id), step = trial.step, compared = *values.compared] {
    const auto [number, type] = number_and_type(compared);
    database_.run(
        "INSERT INTO trial_intermediate_values (trial_id, step, intermediate_value, intermediate_value_type) VALUES "
        "(?1, ?2, ?3, ?4) ON CONFLICT (trial_id, step) DO UPDATE SET intermediate_value = excluded.intermediate_value, "
        "intermediate_value_type = excluded.intermediate_value_type",
        {id, step, number, type});
  });
}

void StudyRecord::on_action(const Trial& trial, const Action& action) {
  if (!is_listed(trial.id)) return;
  const std::int64_t id = row_id(trial.id);
  switch (action.what) {
    case Action::Do::pause:
      return pending_.push_back([this, id] { write_attribute(id, "paused", "true"); });
    case Action::Do::resume:
      return pending_.push_back([this, id] { write_attribute(id, "paused", ""); });
    case Action::Do::change:
    case Action::Do::copy:
      return pending_.push_back([this, id, params = trial.params, lineage = lineage_json(trial).dump()] {
        write_params(id, params);
        write_attribute(id, "lineage", lineage);
      });
    case Action::Do::stop:
      return;  // on_end
  }
}

void StudyRecord::on_end(const Trial& trial) {
  if (!is_listed(trial.id)) return;
  const std::string reason = trial.reason.empty() ? "" : quoted(trial.reason);
  pending_.push_back([this, id = row_id(trial.id), now = utc_now(), state = optuna_state(trial), reason,
                      value = trial.best_metric] {
    write_attribute(id, "paused", "");
    write_attribute(id, "reason", reason);
    if (value)
      database_.run("INSERT INTO trial_values (trial_id, objective, value, value_type) VALUES (?1, 0, ?2, 'FINITE')",
                    {id, *value});
    database_.run("UPDATE trials SET state = ?2, datetime_complete = ?3 WHERE trial_id = ?1", {id, state, now});
  });
}

void StudyRecord::on_round(std::int64_t) {
  write_pending();
}

void StudyRecord::finish() {
  write_pending();
}

void StudyRecord::write_pending() {
  if (pending_.empty()) return;
  transact(database_, on_fault_, [this] {
    require_alive();
    for (const auto& write : pending_) write();
  });
  pending_.clear();
}

void StudyRecord::write_params(std::int64_t trial, const Params& params) {
  database_.run("DELETE FROM trial_params WHERE trial_id = ?1", {trial});
  for (const auto& [name, value] : params) {
    const ParameterSpec* spec = space_.find(name);
    if (!can_be_shown(spec, value)) continue;
    database_.run(
        "INSERT INTO trial_params (trial_id, param_name, param_value, distribution_json) VALUES (?1, ?2, ?3, ?4)",
        {trial, name, distribution_value(*spec, value), distribution_json(*spec)});
  }
}

// As JSON; "" for one that is not, or no longer, there.
void StudyRecord::write_attribute(std::int64_t trial, const char* key, const std::string& json) {
  if (json.empty())
    database_.run("DELETE FROM trial_user_attributes WHERE trial_id = ?1 AND key = ?2", {trial, key});
  else
    database_.run(
        "INSERT INTO trial_user_attributes (trial_id, key, value_json) VALUES (?1, ?2, ?3) ON CONFLICT (trial_id, key) "
        "DO "
        "UPDATE SET value_json = excluded.value_json",
        {trial, key, json});
}

}  // namespace finetune
