// A study of the past: what stands in a database of Optuna's schema version 12, written by us or by Optuna 4.9 and 5.0,
// in a file of SQLite or in PostgreSQL, while it runs or after. It is not trusted (Access::read): every table, type,
// name and count is checked. Source: Optuna's optuna/storages/_rdb/models.py; optuna/distributions.py for
// distribution_json.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/trial.h"
#include "core/value.h"

namespace finetune {

enum class PastState { complete, pruned, failed, unfinished };

struct PastTrial {
  std::int64_t number = 0;
  PastState state = PastState::unfinished;
  std::optional<double> value;                         ///< a finite one
  std::vector<std::pair<std::int64_t, double>> curve;  ///< finite intermediate values, steps ascending
  Params params;                                       ///< a choice that is null is NaN
};

struct PastStudy {
  std::string source;  ///< as it was asked for: FILE or FILE#NAME; without a password
  std::string name;
  std::optional<Direction> direction;
  std::string metric;       ///< "" where none is named
  std::string model;        ///< the checkpoint, where we wrote it; else ""
  std::string rung_metric;  ///< what values before a trial's end are of, where that is another metric; else ""
  std::vector<PastTrial> trials;
};

/// An entry of tune.warm_start: FILE, or FILE#NAME for one of several studies, and the same with an address. What
/// exists under the whole text is a file.
struct PastSource {
  std::filesystem::path file;  ///< or the address
  std::string study;           ///< "": the only one
};
PastSource past_source(const std::string& entry);

/// Throws Error (bad_input) naming the file, and table and row where there is one: another schema, several studies and
/// none named, several objectives, a value of another type, more than 100,000 trials.
PastStudy read_past_study(const std::string& entry);

}  // namespace finetune
