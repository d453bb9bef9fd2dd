// A lane on a LibTorch device: trains and evaluates its resident trials, packed where the store allows it.
//
// Isolation (design contract, section 5): a trial's numbers do not depend on who trains beside it. Batches are cut by
// the trial's own lengths, gradients summed in its own order, losses and norms in fixed order.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/error.h"
#include "data/examples.h"
#include "engine/divergence.h"
#include "engine/evaluators/open_evaluators.h"
#include "engine/lane.h"
#include "engine/memory_turns.h"
#include "engine/parameter_store.h"
#include "engine/pass_runner.h"
#include "engine/round_plan.h"
#include "engine/torch_image.h"
#include "kernels/torch/backend.h"
#include "kernels/torch/profile.h"
#include "kernels/torch/reproducible.h"
#include "kernels/torch/ring.h"
#include "models/objective.h"

namespace finetune {

class ReferenceModel;

/// What trials are measured on.
struct EvaluationData {
  Batch examples;         ///< whose losses are summed; may be empty
  Evaluators evaluators;  ///< of metrics that need more
};

/// What the lanes of one memory have in common.
struct SharedMemory {
  std::shared_ptr<MemoryTurns> turns;
  std::shared_ptr<DeviceImages> images;
};

struct TrainerOptions {
  std::int64_t tokens_per_pass = 4096;  ///< a forward/backward works on about this many; bounds activations
  const Objective* objective = &sft();
  std::shared_ptr<const ReferenceModel> reference;  ///< where the objective needs divergences
  std::int64_t max_length = 1024;                   ///< data.max_length, for prompts with other answers
  bool shuffle = true;
  bool ahead = false;        ///< plan the next round on another thread while the device works on this one
  bool graphs = false;       ///< capture passes by shape and replay them (kernels/torch/graph.h)
  bool reproducible = true;  ///< run.numerics: the same bits in every run on a GPU
  ops::KernelTable kernels = ops::KernelTable::written();  ///< run.kernels
  std::vector<std::int64_t> parts = {};  ///< sizes of the parts of `train`, of which trials have shares; empty: none
  bool profile = false;                  ///< run.profile
  int threads = 0;                    ///< CPU: processors that the lanes divide among them; 0 = leave the setting alone
  SharedMemory memory;                ///< with other lanes; none: it has it to itself
  std::function<bool()> interrupted;  ///< asked between passes, on the lane's thread: true ends the call
  std::function<void(const std::string&)> say = [](const std::string&) {};  ///< one line for people; any thread
};

class PackedTrainer : public Lane {
 public:
  /// The store must outlive the trainer, and so must what `valid`, which may be empty, and the data of measure() view.
  PackedTrainer(ParameterStore& store, const Examples& train, Batch valid, const TrainerOptions& options);
  /// Evaluators of the validation data, everything of data.test, and the metric whose figures by example are asked for.
  void measure(Evaluators valid, EvaluationData test, const Metric& metric);
  /// By file of the validation data: the name under which its loss is measured too, as valid_loss.NAME.
  void measure_parts(std::vector<std::string> by_file) { valid_parts_ = std::move(by_file); }

  std::int64_t free_slots() const override { return static_cast<std::int64_t>(free_.size()); }
  void share(std::size_t lanes) override;
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
  /// TrainerOptions::tokens_per_pass, or less after the device ran out of memory.
  std::int64_t tokens_per_pass() const override { return planner_.tokens_per_pass(); }
  void set_tokens_per_pass(std::int64_t tokens) override { planner_.set_tokens_per_pass(tokens); }

  /// Seconds in evaluations so far.
  double evaluation_seconds() const override { return evaluation_seconds_; }
  double step_seconds() const override { return step_seconds_; }
  /// Bytes of activation buffers so far.
  std::int64_t workspace_bytes() const { return runner_.workspace_bytes(); }
  /// Passes captured so far: with TrainerOptions::graphs one per shape, whatever happens to trials.
  std::int64_t captures() const { return runner_.captures(); }
  std::int64_t prepared_plans_used() const { return planner_.prepared_plans_used(); }
  /// With TrainerOptions::profile where the time went so far, else null.
  const ops::Profile* profile() const { return profile_.get(); }

 private:
  struct Resident {
    TrialId id;
    TrainConfig config;
    SlotOptions slot;
    PackTrial packed;     // what follows from config; its step is the one to be submitted next
    std::string failure;  // "", or why it steps no more
  };
  // A step on its way: results without what the device has yet to say.
  struct Submitted {
    std::vector<StepResult> results;
    std::vector<double> divisors;  // of the losses of those that stepped
  };
  // How training is cut into passes; less of either as memory ends.
  struct PassSize {
    std::int64_t tokens = 0;
    bool together = true;  // trials share passes
  };
  // The pass being computed, to know whose it was when memory ends.
  struct UnderWay {
    std::size_t first_trial = 0;  // of those of the call
    std::int64_t tokens = 0;
  };
  struct NormKey {
    std::int64_t slot;
    SlotOptions options;
    bool operator==(const NormKey&) const = default;
  };
  Resident& find(TrialId trial);
  const Resident& find(TrialId trial) const;
  std::vector<Resident*> find_all(std::span<const TrialId> trials);
  Resident& place(TrialId id, const TrainConfig& config, PackTrial packed);
  void configure(Resident& trial, const TrainConfig& config);
  static std::vector<PackTrial> packed_of(std::span<Resident* const> trials);
  /// As they are evaluated: nothing is dropped, and there is no noise.
  static std::vector<PackTrial> undisturbed(std::span<Resident* const> trials);
  double divisor_of(const Batch& batch) const;
  std::vector<double> divergences(std::span<Resident* const> trials, std::span<const Batch> batches);
  std::vector<double> round_divergences(std::span<Resident* const> trials, std::span<const Batch> batches);
  void note_submitted(std::span<Resident* const> asked, const RoundPlan& plan);
  std::vector<double> results();
  void run_passes(std::span<Resident* const> trials, RoundPlan& plan, at::Tensor& losses_N);
  void gradient_norms(std::span<Resident* const> trials, at::Tensor& norms_N);
  void update(std::span<Resident* const> trials, const at::Tensor& norms_N, const at::Tensor& losses_N);
  std::vector<EvalResult> run_evaluation(std::span<Resident* const> trials, const EvalRequest& request);
  std::vector<EvalResult> losses(std::span<Resident* const> trials, const EvalRequest& request);
  void add_tasks(std::span<Resident* const> trials, const EvalRequest& request, std::vector<EvalResult>& results);
  bool wants_figures(const EvalRequest& request, MetricSource source) const;
  void check_interrupt() const;

  // packed_trainer_memory.cpp: what is done when memory ends.
  RoundPlan plan_of(std::span<Resident* const> trials);
  RoundPlan forward_backward(std::vector<Resident*>& trials, at::Tensor& results_2N, MemoryTurns::Turn& turn);
  void evaluate_fitting(std::span<Resident* const> trials, const EvalRequest& request, std::vector<EvalResult>& results,
                        MemoryTurns::Turn& turn);
  std::string misfit() const;
  PackShape largest_pass(std::int64_t tokens) const;
  MemoryTurns::Turn begin_turn();
  bool find_room(const PassSize& before, MemoryTurns::Turn& turn);
  PassSize pass_size() const { return {planner_.tokens_per_pass(), planner_.together()}; }
  void set_pass_size(const PassSize& size);
  bool images_left() const;
  bool shrink_passes();
  void make_room(const std::string& what);
  void give_buffers_back() const;
  bool with_buffers_back(const std::function<void()>& work) const;
  void say_if_fewer(std::int64_t tokens_before) const;

  ParameterStore& store_;
  Batch valid_, test_;
  std::vector<std::string> valid_parts_;
  MismatchedReferences references_;
  Evaluators evaluators_, test_evaluators_;
  double evaluation_seconds_ = 0, step_seconds_ = 0;
  Metric metric_ = finetune::metrics().front();  // whose figures by example may be asked for
  TrainerOptions options_;
  at::Device device_;
  std::unique_ptr<const ops::ReproducibleSums> reproducible_;
  const std::unique_ptr<ops::Profile> profile_;
  RoundPlanner planner_;
  std::int64_t longest_ = 1;   // training example
  mutable PassRunner runner_;  // its buffers are given back wherever memory ends
  ops::ResultRing ring_;
  std::deque<Submitted> submitted_;
  UnderWay under_way_;
  std::size_t lane_ = 0;           // its number among those of options_.memory.turns
  std::vector<NormKey> norm_key_;  // what norm_plan_ was made for
  ops::NormPlan norm_plan_;
  std::map<TrialId, Resident> residents_;
  std::vector<std::int64_t> free_;  // slots, the lowest last
};

}  // namespace finetune
