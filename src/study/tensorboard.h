// tensorboard/NNNNNN/: an event file for each trial, which TensorBoard shows while the study runs and after. At each
// step train_loss, learning_rate and grad_norm, where it was evaluated valid_loss and tune.metric; and the searched
// parameters for its table of hyperparameters, as they are when the trial begins. Numbers are float32 there, and
// wall_time is the one thing from a clock. Torch-free.
#pragma once

#include <filesystem>
#include <map>
#include <memory>

#include "engine/study.h"
#include "study/append_file.h"
#include "study/event_records.h"
#include "tuners/space/space.h"

namespace finetune {

class TensorBoardWriter : public StudyObserver {
 public:
  /// `run`: the run's folder. `space`: what is searched.
  TensorBoardWriter(const std::filesystem::path& run, const SearchSpace& space, const Metric& metric);
  void on_start(const Trial& trial) override;
  void on_steps(std::span<const StepResult> results, std::span<const Trial* const> trials) override;
  void on_evaluation(const Trial& trial, const EvalResult& result, double metric) override;
  void on_end(const Trial& trial) override;
  void on_round(std::int64_t round) override;

 private:
  AppendFile* file_of(const Trial& trial);  ///< null for the default configuration, which is no trial of the search

  std::filesystem::path folder_;
  HparamTypes hparams_;
  Metric metric_;
  std::map<TrialId, std::unique_ptr<AppendFile>> files_;  // of the trials that run or are paused
};

}  // namespace finetune
