// A lane is one device with its copy of the base, its adapter bank and its thread. The study speaks to lanes through
// this interface; it is torch-free, so the study's loop is tested with a stand-in.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "config/run_config.h"
#include "core/error.h"
#include "core/metric.h"
#include "core/trial.h"

namespace finetune {

/// What one optimizer step of one trial did. All of it is on the host.
struct StepResult {
  TrialId trial;
  std::int64_t step = 0;     ///< 1-based
  std::int64_t tokens = 0;   ///< of this step, special ones included
  double train_loss = 0;     ///< sum of token losses / loss tokens of the whole batch, before the update
  double gradient_norm = 0;  ///< before clipping
  double learning_rate = 0;  ///< the rate this step used
  bool finite = true;        ///< false: the update was skipped, the weights are those before the step
  std::string failure;       ///< not "": why this trial cannot go on, after this step or before it (not finite)
};

/// What of trials is measured.
struct EvalRequest {
  bool tasks = true;      ///< metrics of evaluators too, not of losses alone
  bool examples = false;  ///< of tasks tune.metric alone, and its figures by example (EvalResult::examples)
  bool test = false;      ///< the same on data.test, not on the validation data
};

/// What an image is made of, as it lies in a file.
struct ImageParts {
  std::vector<std::pair<std::string, std::span<const float>>> arrays;  ///< what they point into is somebody else's
  nlohmann::json values;
};

/// The complete state of a trial off its slot, on whatever device: weights, moments, optimizer and data position.
/// Immutable.
class TrialImage {
 public:
  virtual ~TrialImage() = default;
  virtual ImageParts parts() const = 0;  ///< valid as long as the image
};

/// What one trial's configuration asks of the lane and cannot be had is that trial's failure, not the lane's: a
/// bad_input Error of admit, or the `failure` of a result. All others of the call are where they would be without it;
/// the trial itself stays at the step before, until it is released. Any other Error is the lane's end.
///
/// submit, step and evaluate throw Interrupted (core/error.h) when the user asked the run to end: between two passes,
/// so that nobody waits for a round. The trials of the call stay at the step before; their gradients are undefined.
///
/// All calls for one lane come from one thread at a time. No call depends on which other trials are resident.
class Lane {
 public:
  virtual ~Lane() = default;

  virtual std::int64_t free_slots() const = 0;
  /// How many lanes work side by side from the next call on, this one included: they divide the processors among them.
  virtual void share(std::size_t /*lanes*/) {}
  /// Takes a slot and initialises it from config.seed. Needs a free slot. Throws Error (bad_input) where this
  /// configuration cannot be had; no slot is taken then.
  virtual void admit(TrialId trial, const TrainConfig& config) = 0;
  /// Frees the slot; its state is gone.
  virtual void release(TrialId trial) = 0;
  /// One optimizer step of each trial, in one pack. Results in the order asked for.
  virtual std::vector<StepResult> step(std::span<const TrialId> trials) = 0;
  /// step() in two halves, for a study that overlaps rounds: submit() may return before the step is done, collect()
  /// gives the results of the oldest step not yet collected. In between, trials may be submitted again, changed, copied
  /// and released; that follows the step. A lane that cannot overlap does the step at once.
  virtual void submit(std::span<const TrialId> trials) { done_.push_back(step(trials)); }
  virtual std::vector<StepResult> collect() {
    std::vector<StepResult> results = std::move(done_.front());
    done_.pop_front();
    return results;
  }
  /// All trials over the same examples, in one pack.
  virtual std::vector<EvalResult> evaluate(std::span<const TrialId> trials, const EvalRequest& request) = 0;
  /// New hyperparameters from the next step on; weights, moments and step stay.
  virtual void change(TrialId trial, const TrainConfig& config) = 0;
  /// Weights and moments of `from` replace those of `to`, which keeps its step count and data position.
  virtual void copy(TrialId from, TrialId to, const TrainConfig& config) = 0;
  /// A copy of everything, for pause and for moves between lanes. Null where there is no memory for it, though the
  /// lanes of that memory have given theirs back, who may work meanwhile.
  virtual std::shared_ptr<const TrialImage> capture(TrialId trial) const = 0;
  /// Goes on from an image of a trial, in all respects (resume, move; needs a free slot), or takes its weights and
  /// moments only (`to` is resident; copies between lanes).
  virtual void restore(TrialId trial, const TrainConfig& config, const TrialImage& image) = 0;
  virtual void copy_from_image(const TrialImage& image, TrialId to, const TrainConfig& config) = 0;
  /// The image that these are parts of, copied. They come from a file: throws Error (bad_input) without a place for
  /// what this lane cannot have made.
  virtual std::shared_ptr<const TrialImage> image_of(const ImageParts& parts) const = 0;

  /// What a lane goes on with after a resume because it changes numbers: tokens of a pass, which want of memory
  /// lowers. 0 where a lane has no passes.
  virtual std::int64_t tokens_per_pass() const { return 0; }
  virtual void set_tokens_per_pass(std::int64_t) {}

  /// What evaluate() has taken so far, by the clock. For reports alone.
  virtual double evaluation_seconds() const { return 0; }
  /// What submit() and collect() have taken so far, by the clock; 0 where there is none. For placement, that is, for no
  /// number.
  virtual double step_seconds() const { return 0; }

 private:
  std::deque<std::vector<StepResult>> done_;
};

}  // namespace finetune
