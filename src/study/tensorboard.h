// tensorboard/NNNNNN/: an event file for each trial, which TensorBoard shows while the study runs and after. At each
// step train_loss, learning_rate and grad_norm, where it was evaluated every metric that was measured; and the searched
// parameters for its table of hyperparameters, as they are when the trial begins. Numbers are float32 there, and
// wall_time is the one thing from a clock. Torch-free.
#pragma once

#include "engine/study.h"
#include "study/event_records.h"
#include "study/run_files.h"
#include "tuners/space/space.h"

namespace finetune {

class TensorBoardWriter : public StudyObserver {
 public:
  /// `files` must outlive it. `space`: what is searched.
  TensorBoardWriter(RunFiles& files, const SearchSpace& space, std::vector<Metric> wanted);
  void on_start(const Trial& trial) override;
  void on_resume(const StudyState& state) override;
  void on_steps(std::span<const StepResult> results, std::span<const Trial* const> trials) override;
  void on_evaluation(const Trial& trial, const EvalResult& result, const MetricValues& values) override;
  void on_end(const Trial& trial) override;

 private:
  AppendFile* file_of(const Trial& trial);  ///< null for the default configuration, which is no trial of the search

  RunFiles& files_;
  HparamTypes hparams_;
  std::vector<Metric> wanted_;
};

}  // namespace finetune
