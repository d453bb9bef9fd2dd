// The tables that are our own, beside Optuna's (study/optuna_schema.h): who works on the study and on which trial,
// which saves are valid, and what a run has to find again to be gone on with. Their names begin with ft_, which no
// reader of Optuna's looks at. A study.db has one worker, number 0; the tables ft_workers
// and ft_trials are filled in PostgreSQL alone, where several work on a study (study/shared_trials.h).
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/database_url.h"
#include "core/disk_fault.h"
#include "study/database.h"
#include "study/written_file.h"

namespace finetune {

constexpr char kOwnSchema[] = R"(
CREATE TABLE ft_saves (
  save_id INTEGER NOT NULL,
  worker INTEGER NOT NULL,
  round INTEGER NOT NULL,
  file TEXT NOT NULL,
  bytes BIGINT NOT NULL,
  hash TEXT NOT NULL,
  PRIMARY KEY (save_id)
);
CREATE TABLE ft_run (
  worker INTEGER NOT NULL,
  "key" TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (worker, "key")
);
CREATE TABLE ft_workers (
  worker INTEGER NOT NULL,
  folder TEXT NOT NULL,
  state TEXT NOT NULL,
  beats INTEGER NOT NULL,
  PRIMARY KEY (worker)
);
CREATE TABLE ft_trials (
  trial_id INTEGER NOT NULL,
  worker INTEGER NOT NULL,
  params TEXT NOT NULL,
  PRIMARY KEY (trial_id)
);
)";

/// What a valid save of a run is, before it is opened.
struct SaveRow {
  std::int64_t round = 0;
  std::string name;  ///< in saves/
  WrittenFile written;
};

/// Where a run's record lies, and as whom the run writes there.
struct RecordPlace {
  RecordPlace(const std::filesystem::path& run) : database(run / "study.db"), folder(run) {}
  RecordPlace(const std::string& address, std::int64_t number, std::filesystem::path run)
      : database(address), worker(number), folder(std::move(run)) {}
  /// In PostgreSQL, where others may work on the study too.
  bool is_shared() const { return is_database_url(database.string()); }

  std::filesystem::path database;  ///< study.db, or the address of a PostgreSQL database
  std::int64_t worker = 0;
  std::filesystem::path folder;  ///< the run's
};

/// A connection of its own to a run's record, which is there (Access::resume: and not trusted); what it writes is
/// durable when the call returns. Throws Error.
class SaveRows {
 public:
  explicit SaveRows(const RecordPlace& place, OnDiskFault on_fault = {}, Access access = Access::create);

  /// Makes a save valid. The one before it stays valid too, older ones go.
  void add(const SaveRow& row);
  /// Valid ones, the newest first: two at most.
  std::vector<SaveRow> saves();
  /// Those of later rounds are valid no more.
  void forget_after(std::int64_t round);

  void set_fact(const std::string& key, const std::string& value);
  std::map<std::string, std::string> facts();

 private:
  std::int64_t worker_;
  OnDiskFault on_fault_;
  Database database_;
};

}  // namespace finetune
