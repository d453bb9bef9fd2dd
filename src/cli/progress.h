// What a person sees while a study runs: a live table on a terminal, plain lines elsewhere. An observer: it changes
// nothing, and costs nothing between redraws.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "host/hooks.h"

namespace finetune {

class Progress : public StudyObserver {
 public:
  Progress();
  ~Progress() override;

  /// Hooks for tune() and train() that show what happens here; `stop` as StudyHooks::stop. Must be outlived.
  StudyHooks hooks(std::function<bool()> stop);
  /// Takes the live table away. Nothing is drawn afterwards.
  void end();

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
  void begin(const StudyPlan& plan);
  void say(const std::string& line);
  void redraw();
  void clear();
  std::string bar_line() const;
  double seconds() const { return std::chrono::duration<double>(Clock::now() - started_).count(); }

  const bool terminal_;
  StudyPlan plan_;
  Clock::time_point started_, drawn_;
  std::map<TrialId, Line> running_;
  std::optional<double> best_;
  TrialId best_trial_;
  std::int64_t tokens_ = 0, ended_ = 0, ended_steps_ = 0;
  int lines_drawn_ = 0;
};

}  // namespace finetune
