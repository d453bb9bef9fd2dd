#include "study/workers.h"

#include <utility>

#include "core/error.h"

namespace finetune {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSetting = "setting ";  // keys in ft_run, of worker 0

std::string text_at(const SqlRow& row, std::size_t i) {
  const auto* text = std::get_if<std::string>(&row.at(i));
  return text == nullptr ? "" : *text;
}

std::int64_t whole_at(const SqlRow& row, std::size_t i) {
  const auto* whole = std::get_if<std::int64_t>(&row.at(i));
  return whole == nullptr ? 0 : *whole;
}

// The address stands in a key, which is what can be changed.
Database open_to_look(const std::string& url) {
  try {
    return Database(url, Access::read);
  } catch (const Error& error) {
    throw Error(error.kind(), error.where(), "study.url: " + error.message());
  }
}

}  // namespace

std::vector<WorkerRow> workers(Database& database) {
  std::vector<WorkerRow> all;
  for (const SqlRow& row : database.run("SELECT worker, folder, state, beats FROM ft_workers ORDER BY worker"))
    all.push_back({whole_at(row, 0), text_at(row, 1), text_at(row, 2), whole_at(row, 3)});
  return all;
}

StudyStanding standing_of(const std::string& url) {
  Database database = open_to_look(url);
  StudyStanding standing;
  if (!database.has_table("studies")) return standing;
  if (!database.has_table("ft_workers"))
    throw bad_input(database.place(),
                    "study.url: holds studies of another program; give this one a database of its own");
  standing.exists = true;
  standing.workers = workers(database);
  standing.complete = !database.run("SELECT 1 FROM ft_run WHERE key = 'complete' LIMIT 1").empty();
  for (const SqlRow& row : database.run("SELECT key, value FROM ft_run WHERE worker = 0")) {
    const std::string key = text_at(row, 0);
    if (key.starts_with(kSetting)) standing.settings[key.substr(kSetting.size())] = text_at(row, 1);
    if (key == "token") standing.token = text_at(row, 1);
  }
  return standing;
}

WorkerRow join_study(const std::string& url, const std::function<fs::path(std::int64_t)>& folder_of) {
  Database database(url);
  WorkerRow joined{.state = "working"};
  transact(database, {}, [&] {
    database.lock();
    joined.worker = whole_at(database.run("SELECT max(worker) + 1 FROM ft_workers").at(0), 0);
    joined.folder = folder_of(joined.worker);
    database.run("INSERT INTO ft_workers (worker, folder, state, beats) VALUES (?1, ?2, ?3, 0)",
                 {joined.worker, joined.folder.string(), joined.state});
  });
  return joined;
}

void withdraw(const RecordPlace& place) {
  Database database(place.database);
  transact(database, {}, [&] {
    database.lock();
    if (workers(database).size() == 1)
      return database.execute(
          "DROP TABLE alembic_version, version_info, trial_heartbeats, trial_intermediate_values, trial_values, "
          "trial_params, trial_system_attributes, trial_user_attributes, trials, study_system_attributes, "
          "study_user_attributes, study_directions, studies, ft_saves, ft_run, ft_workers, ft_trials;"
          "DROP TYPE studydirection, trialstate, trialvaluetype, trialintermediatevaluetype");
    database.run(
        "UPDATE trials SET state = 'RUNNING', datetime_complete = NULL WHERE trial_id IN (SELECT trial_id FROM "
        "ft_trials WHERE worker = ?1)",
        {place.worker});
    database.run("UPDATE ft_trials SET worker = ?2 WHERE worker = ?1", {place.worker, kNobody});
    set_worker_state(database, place.worker, "ended");
  });
}

void set_worker_state(Database& database, std::int64_t worker, const std::string& state) {
  database.run("UPDATE ft_workers SET state = ?2, beats = beats + 1 WHERE worker = ?1", {worker, state});
}

std::vector<WorkerRow> LifeWatch::dead(const std::vector<WorkerRow>& all) {
  std::vector<WorkerRow> dead;
  const Clock::time_point now = Clock::now();
  for (const WorkerRow& worker : all) {
    if (worker.state != "working") continue;
    const auto [known, is_new] = seen_.try_emplace(worker.worker, Seen{worker.beats, now});
    if (known->second.beats != worker.beats) known->second = {worker.beats, now};
    if (now - known->second.since >= dead_after_) dead.push_back(worker);
  }
  return dead;
}

}  // namespace finetune
