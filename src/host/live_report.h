// report.html of a study that runs: written again now and then, whole, so that whoever has it open sees how it goes on.
// It changes nothing, and a write that fails is left for the next time. Torch-free.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "engine/study.h"
#include "report/facts.h"

namespace finetune {

/// Seconds since the last page was written, and what writing it took: at most one a minute, and at most a fiftieth of
/// the time.
bool is_report_due(double since, double cost);

struct LiveReportOptions {
  std::filesystem::path run;                         ///< the folder, where metrics.jsonl of the trials lie
  ReportFacts known;                                 ///< what is known before the first step
  std::function<double()> seconds;                   ///< of the study so far
  std::function<std::vector<std::int64_t>()> rungs;  ///< of the scheduler, now
};

/// As an observer it comes after what writes the files that it reads. The first page comes with the first evaluation.
class LiveReport : public StudyObserver {
 public:
  explicit LiveReport(LiveReportOptions options) : options_(std::move(options)) {}
  void on_start(const Trial& trial) override;
  void on_resume(const StudyState& state) override;
  void on_evaluation(const Trial& trial, const EvalResult& result, const MetricValues& values) override;
  void on_round(std::int64_t round) override;

 private:
  ReportFacts facts_now() const;

  LiveReportOptions options_;
  std::vector<const Trial*> trials_;  // the study's own, by id: they stand where they are as long as it runs
  std::optional<double> base_metric_;
  bool evaluated_ = false, written_ = false;
  double last_ = 0, cost_ = 0;  // seconds
};

/// Which trial is best so far: among completed ones, else among all that were evaluated.
std::optional<std::size_t> best_so_far(const ReportFacts& study);

}  // namespace finetune
