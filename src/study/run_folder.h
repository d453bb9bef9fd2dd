// A run's folder on disk (design contract, section 8): metrics while it runs, each trial's record when it ends, and the
// reports. Torch-free.
#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "engine/study.h"
#include "report/facts.h"
#include "study/run_files.h"

namespace finetune {

/// Lines of metrics.jsonl, line ends included. Nothing in them depends on a clock.
std::string step_line(const StepResult& result, std::int64_t cumulative_tokens);
/// valid_loss and what was measured of `wanted`; each under its own name.
std::string evaluation_line(std::int64_t step, const EvalResult& result, std::span<const Metric> wanted);

/// Writes trials/NNNNNN/metrics.jsonl and trial.json as the study goes on, and schedule.json of a trial whose
/// hyperparameters changed: [{"step": 0, "params": {...}}, {"step": 20, ...}], through copies, for its last weights.
class TrialWriter : public StudyObserver {
 public:
  /// `files` must outlive it.
  explicit TrialWriter(RunFiles& files, std::vector<Metric> wanted = {}) : files_(files), wanted_(std::move(wanted)) {}
  void on_start(const Trial& trial) override;
  void on_take_up(const Trial& trial) override;
  void on_resume(const StudyState& state) override;
  void on_steps(std::span<const StepResult> results, std::span<const Trial* const> trials) override;
  void on_evaluation(const Trial& trial, const EvalResult& result, const MetricValues& values) override;
  void on_end(const Trial& trial) override;

 private:
  RunFiles& files_;
  std::vector<Metric> wanted_;
};

/// Throws Error (bad_input) naming the trial.json or schedule.json that is not what a TrialWriter left of a trial that
/// has ended in `state`.
void require_trial_files(const std::filesystem::path& run, const StudyState& state);

/// What happened to a trial besides plain steps, as trial.json has it: [{"step": 4, "do": "copy", "from": 3, "params":
/// {...}}, ...]; a change has no `from`.
nlohmann::ordered_json lineage_json(const Trial& trial);

/// trials/000007
std::filesystem::path trial_folder(const std::filesystem::path& run, std::int64_t id);

/// Of a trial's folder 000007 its id; nothing for another name.
std::optional<std::int64_t> trial_of_folder(const std::filesystem::path& folder);

/// Removes `names` from every folder of a trial below `parent` that `never_ran` says, and the folder where nothing is
/// left in it.
void remove_trials(const std::filesystem::path& parent, const std::vector<std::string>& names,
                   const std::function<bool(std::int64_t id)>& never_ran, const OnDiskFault& on_fault = {});

/// Reads metrics.jsonl of every trial into the curves, of the training loss and of study.metric, and into what else was
/// measured (study.further). A missing file leaves
/// a curve empty; a damaged line is an error naming file:line.
void read_curves(const std::filesystem::path& run, ReportFacts& study);

/// Looks which of best/ and best.yaml are there, and as what, for the reports to name.
void find_results(const std::filesystem::path& run, ReportFacts& study);

/// The report of a study that has ended, whole: report.json with curves, analysis and results. Throws Error (bad_input)
/// naming the file that is missing or damaged.
ReportFacts read_report(const std::filesystem::path& run);

/// report.json, report.md and report.html, each atomically; report.json last.
void write_reports(const std::filesystem::path& run, const ReportFacts& study, const OnDiskFault& on_fault = {});

}  // namespace finetune
