// What a person sees while a study runs: a live table on a terminal; elsewhere a line for what happens, and at least
// every half minute one with progress, the best so far and the time left. An observer: it changes nothing. A thread of
// its own lets it speak while the study waits for a device.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "host/hooks.h"

namespace finetune {

struct ProgressOptions {
  bool terminal = false;                             ///< redraw in place
  std::chrono::milliseconds status_every{30'000};    ///< without a terminal
  std::function<void(const std::string& text)> put;  ///< writes, line ends included
  /// Shows how far everything is instead of the live table and its lines: the share done and the rest in words.
  std::function<void(double share, const std::string& status)> bar = {};
};

/// To stderr, as it is: a terminal or not.
ProgressOptions progress_on_stderr();

class Progress : public StudyObserver {
 public:
  explicit Progress(ProgressOptions options = progress_on_stderr());
  ~Progress() override;

  /// Hooks for tune() and train() that show what happens here; `stop` as StudyHooks::stop. Must be outlived.
  StudyHooks hooks(std::function<bool()> stop);
  /// Takes the live table away. Nothing is shown afterwards.
  void end();

  void on_start(const Trial& trial) override;
  void on_resume(const StudyState& state) override;
  void on_steps(std::span<const StepResult> results, std::span<const Trial* const> trials) override;
  void on_evaluation(const Trial& trial, const EvalResult& result, const MetricValues& values) override;
  void on_end(const Trial& trial) override;
  void on_search_end(const StudyState& state) override;

 private:
  using Clock = std::chrono::steady_clock;
  struct Line {
    std::string name;
    std::int64_t step = 0;
    double loss = 0;
    std::optional<double> metric;
    std::optional<double> compared = {};  // of plan_->rung_metric, where the metric is not measured yet
  };
  void begin(const StudyPlan& plan);
  void say(const std::string& line);
  void speak_now_and_then(const std::stop_token& stopped);
  void put_line(const std::string& line);
  void show_status();
  void redraw();
  void clear();
  std::string status_line() const;
  double share_done() const;
  double seconds() const { return std::chrono::duration<double>(Clock::now() - started_).count(); }

  const ProgressOptions options_;
  std::mutex mutex_;  // everything below: the study's thread, lanes that say something, and speaker_
  std::condition_variable_any wake_;
  std::optional<StudyPlan> plan_;  // not before the first step
  Clock::time_point started_, drawn_;
  std::map<TrialId, Line> running_;
  std::optional<double> best_;
  TrialId best_trial_;
  std::int64_t tokens_ = 0, steps_ = 0, ended_ = 0;
  double share_before_ = 0;  // done before a resume
  int lines_drawn_ = 0;
  std::function<bool()> stop_;  // whether the user asked the run to end
  bool stopped_ = false;        // and it was seen
  std::jthread speaker_;        // last: it is joined before what it reads goes
};

}  // namespace finetune
