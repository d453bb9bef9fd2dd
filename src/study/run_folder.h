// A run's folder on disk (design contract, section 8): metrics while it runs, each trial's record when it ends, and the
// reports. Torch-free.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "engine/study.h"
#include "report/summary.h"
#include "study/append_file.h"

namespace finetune {

/// Lines of metrics.jsonl. Buffered; flush() writes what there is. Nothing in it depends on a clock.
class MetricsFile {
 public:
  explicit MetricsFile(const std::filesystem::path& path) : file_(path) {}
  void step(const StepResult& result, std::int64_t cumulative_tokens);
  /// valid_loss, and `metric` where that is another; each under its own name.
  void evaluation(std::int64_t step, const EvalResult& result, const Metric& metric);
  void flush() { file_.flush(); }

 private:
  AppendFile file_;
};

/// Writes trials/NNNNNN/metrics.jsonl and trial.json as the study goes on, and schedule.json of a trial whose
/// hyperparameters changed: [{"step": 0, "params": {...}}, {"step": 20, ...}], through copies, for its last weights.
class TrialWriter : public StudyObserver {
 public:
  explicit TrialWriter(std::filesystem::path folder, const Metric& metric = metrics().front())
      : folder_(std::move(folder)), metric_(metric) {}
  void on_start(const Trial& trial) override;
  void on_steps(std::span<const StepResult> results, std::span<const Trial* const> trials) override;
  void on_evaluation(const Trial& trial, const EvalResult& result, double metric) override;
  void on_end(const Trial& trial) override;
  void on_round(std::int64_t round) override;

 private:
  std::filesystem::path folder_;
  Metric metric_;
  std::map<TrialId, std::unique_ptr<MetricsFile>> files_;
};

/// What happened to a trial besides plain steps, as trial.json has it: [{"step": 4, "do": "copy", "from": 3, "params":
/// {...}}, ...]; a change has no `from`.
nlohmann::ordered_json lineage_json(const Trial& trial);

/// trials/000007
std::filesystem::path trial_folder(const std::filesystem::path& run, std::int64_t id);

/// Reads metrics.jsonl of every trial into the curves, of the training loss and of study.metric. A missing file leaves
/// a curve empty; a damaged line is an error naming file:line.
void read_curves(const std::filesystem::path& run, StudySummary& study);

/// Looks which of best/ and best.yaml are there, and as what, for the reports to name.
void find_results(const std::filesystem::path& run, StudySummary& study);

/// report.json, report.md and report.html, each atomically.
void write_reports(const std::filesystem::path& run, const StudySummary& study);

}  // namespace finetune
