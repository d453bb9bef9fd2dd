// What a person sees while a study runs: a live table on a terminal, plain lines elsewhere. An observer: it changes
// nothing, and costs nothing between redraws.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>

#include "engine/study.h"

namespace finetune {

struct ProgressOptions {
  bool terminal = false;    ///< redraw in place
  std::int64_t trials = 1;  ///< planned
  std::int64_t steps_per_trial = 1;
  std::string metric = "valid_loss";
  Direction direction = Direction::minimize;
};

class Progress : public StudyObserver {
 public:
  explicit Progress(ProgressOptions options) : options_(std::move(options)), started_(Clock::now()), drawn_(started_) {}
  ~Progress() override;

  void on_start(const Trial& trial) override;
  void on_steps(std::span<const StepResult> results, std::span<const Trial* const> trials) override;
  void on_evaluation(const Trial& trial, const EvalResult& result, double metric) override;
  void on_end(const Trial& trial) override;

 private:
  using Clock = std::chrono::steady_clock;
  struct Line {
    std::int64_t step = 0;
    double loss = 0;
    std::optional<double> metric;
  };
  void redraw();
  void clear();
  std::string bar_line() const;
  double seconds() const { return std::chrono::duration<double>(Clock::now() - started_).count(); }

  ProgressOptions options_;
  Clock::time_point started_, drawn_;
  std::map<TrialId, Line> running_;
  std::optional<double> best_;
  TrialId best_trial_;
  std::int64_t tokens_ = 0, ended_ = 0, ended_steps_ = 0;
  int lines_drawn_ = 0;
};

}  // namespace finetune
