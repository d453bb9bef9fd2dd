// What a run has to be gone on with: kept in study.db (study/save_rows.h) when it begins, compared when it is resumed.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "engine/session.h"
#include "host/run_inputs.h"
#include "study/save_rows.h"

namespace finetune {

/// Version, processor, working directory and inputs of a run whose run.yaml is written.
void keep_facts(SaveRows& rows, const Session& session, const std::vector<RunInput>& inputs);
/// The inputs once more, now with their hashes.
void keep_inputs(SaveRows& rows, const std::vector<RunInput>& inputs);

/// What a run that is to be gone on with was begun with. Not trusted.
inline constexpr const char* kWorkersFact = "workers";  ///< absent: it is computed in its own process

class RunFacts {
 public:
  RunFacts(std::filesystem::path run, std::map<std::string, std::string> facts);
  /// "tune" or "train": what it is.
  const std::string& verb() const { return of("verb"); }
  /// Where its relative paths begin.
  std::string working_directory() const { return of("directory"); }
  /// These throw Error (bad_input) naming the difference: to its version and run.yaml, workers, inputs, processor.
  void require_same_program() const;
  /// That it is computed by as many workers as it was, 0 = in its own process.
  void require_same_workers(std::int64_t workers) const;
  void require_same_inputs(const RunConfig& config) const;
  /// Another processor is said instead, with `elsewhere`.
  void require_same_processor(const Session& session, bool elsewhere) const;

 private:
  const std::string& of(const std::string& key) const;
  std::int64_t workers() const;

  std::filesystem::path run_;
  std::map<std::string, std::string> facts_;
};

}  // namespace finetune
