// The tables of study.db that are our own, beside Optuna's (study/optuna_schema.h): which saves are valid, and what a
// run has to find again to be gone on with. Their names begin with ft_, which no reader of Optuna's looks at.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/disk_fault.h"
#include "study/database.h"

namespace finetune {

constexpr char kOwnSchema[] = R"(
CREATE TABLE ft_saves (
  save_id INTEGER NOT NULL,
  round INTEGER NOT NULL,
  file TEXT NOT NULL,
  bytes INTEGER NOT NULL,
  hash TEXT NOT NULL,
  PRIMARY KEY (save_id)
);
CREATE TABLE ft_run (
  "key" TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY ("key")
);
)";

struct SaveRow;

/// A connection of its own to a run's study.db, which is there (Access::resume: and not trusted); what it writes is
/// durable when the call returns. Throws Error.
class SaveRows {
 public:
  explicit SaveRows(const std::filesystem::path& run, OnDiskFault on_fault = {}, Access access = Access::create);

  /// Makes a save valid. The one before it stays valid too, older ones go.
  void add(const SaveRow& row);
  /// Valid ones, the newest first: two at most.
  std::vector<SaveRow> saves();
  /// Those of later rounds are valid no more.
  void forget_after(std::int64_t round);

  void set_fact(const std::string& key, const std::string& value);
  std::map<std::string, std::string> facts();

 private:
  OnDiskFault on_fault_;
  Database database_;
};

}  // namespace finetune
