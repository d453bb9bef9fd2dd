// A lane of a study that is computed in another process. It loses nothing when that process does: the states of its
// trials come over now and then, and what was asked since is asked again of the lane that stands in. Steps are the same
// bits wherever they are done, so the study never sees the difference.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "engine/lane.h"
#include "remote/lane_channel.h"

namespace finetune::remote {

/// Rounds after which the states of the resident trials come over: what is done again, at most, when a process goes.
constexpr std::int64_t kRoundsKept = 32;

/// How often one call may find its process gone before the study gives up.
constexpr int kMostLosses = 8;

class LaneLine;

class RemoteLane : public Lane {
 public:
  /// `slots`: of the lane at the other end. `say`: a line for people when a process is gone and another stands in.
  RemoteLane(std::unique_ptr<LaneChannel> channel, std::int64_t slots, std::function<void(const std::string&)> say);
  ~RemoteLane() override;

  std::int64_t free_slots() const override;
  void admit(TrialId trial, const TrainConfig& config) override;
  void release(TrialId trial) override;
  std::vector<StepResult> step(std::span<const TrialId> trials) override;
  void submit(std::span<const TrialId> trials) override;
  std::vector<StepResult> collect() override;
  std::vector<EvalResult> evaluate(std::span<const TrialId> trials, const EvalRequest& request) override;
  void change(TrialId trial, const TrainConfig& config) override;
  void copy(TrialId from, TrialId to, const TrainConfig& config) override;
  std::shared_ptr<const TrialImage> capture(TrialId trial) const override;
  void restore(TrialId trial, const TrainConfig& config, const TrialImage& image) override;
  void copy_from_image(const TrialImage& image, TrialId to, const TrainConfig& config) override;
  std::shared_ptr<const TrialImage> image_of(const ImageParts& parts) const override;
  std::int64_t tokens_per_pass() const override;
  void set_tokens_per_pass(std::int64_t tokens) override;
  double evaluation_seconds() const override;
  double step_seconds() const override;

 private:
  std::unique_ptr<LaneLine> line_;
};

}  // namespace finetune::remote
