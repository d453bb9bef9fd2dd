// A line for every round with a hash of the study's whole state, weights included: two runs are compared at the first
// line that differs. For finding faults; it copies every state off its device each round.
#pragma once

#include <filesystem>

#include "core/append_file.h"
#include "engine/study.h"

namespace finetune {

/// "120 0f3a...": the round, and 32 hexadecimal digits (core/content_hash.h) of the state as study_json.h writes it
/// with its images named by the hashes of their content.
std::string trace_line(const StudyState& state);

class StateTrace : public StudySaver {
 public:
  /// Makes `file`, or empties what is there. Throws Error (failed).
  explicit StateTrace(const std::filesystem::path& file) : file_(file) {}
  bool wants_save(std::int64_t, bool, bool) override { return true; }
  void save(const StudyState& snapshot) override;
  /// Throws Error (failed): a trace with a hole is none.
  void not_saved(std::int64_t round) override;

 private:
  AppendFile file_;
};

}  // namespace finetune
