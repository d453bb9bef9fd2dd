// A stand-in for a lane, and studies on it: losses are made up, so every decision can be worked out by hand.
#pragma once

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "core/error.h"
#include "engine/study.h"
#include "tuners/registry.h"

namespace finetune::testing {

struct FakeImage : TrialImage {
  ImageParts parts() const override {
    return {.arrays = {{"weights", weights}}, .values = {{"state", state}, {"step", step}}};
  }
  double state = 0;
  std::int64_t step = 0;
  std::vector<float> weights = {0, 1, 2};  // something to be kept in a file
  std::shared_ptr<const void> room;        // that it takes as long as it is there
};

// A trial's loss is |state - 1| where each step moves the state by the learning rate towards 1. Copies take the state.
class FakeLane : public Lane {
 public:
  explicit FakeLane(std::int64_t slots) : slots_(slots) {}
  std::int64_t free_slots() const override { return slots_ - static_cast<std::int64_t>(trials_.size()); }
  void admit(TrialId id, const TrainConfig& config) override {
    if (refused.contains(id)) throw bad_input("lane", "cannot be built");
    if (breaks_at_admission == id) throw failed("lane", "is broken");
    trials_[id] = {config, seed_matters * static_cast<double>(config.seed), 0};
  }
  void release(TrialId id) override { trials_.erase(id); }
  std::vector<StepResult> step(std::span<const TrialId> ids) override {
    if (interrupt_at > 0 && --interrupt_at == 0) throw Interrupted();
    widest = std::max(widest, ids.size());
    widths.push_back(ids.size());
    std::vector<StepResult> results;
    for (const TrialId id : ids) {
      auto& trial = trials_.at(id);
      if (const auto misfit = misfit_at.find(id); misfit != misfit_at.end() && misfit->second <= trial.step + 1) {
        results.push_back({.trial = id,
                           .step = trial.step + 1,
                           .train_loss = NAN,
                           .gradient_norm = NAN,
                           .finite = false,
                           .failure = "no room"});
        continue;
      }
      const double loss = std::fabs(trial.state - 1);
      trial.state += trial.config.learning_rate * (1 - trial.state);
      ++trial.step;
      const bool broken = trial.config.learning_rate > 100;
      results.push_back({.trial = id,
                         .step = trial.step,
                         .tokens = 10,
                         .train_loss = broken ? NAN : loss,
                         .gradient_norm = 1,
                         .learning_rate = trial.config.learning_rate,
                         .finite = !broken});
    }
    return results;
  }
  std::vector<EvalResult> evaluate(std::span<const TrialId> ids, const EvalRequest& request) override {
    std::vector<EvalResult> results;
    if (fails_to_look && (request.examples || request.test)) throw std::bad_alloc();
    for (const TrialId id : ids) {
      if (cannot_evaluate.contains(id)) {
        results.push_back({.trial = id, .loss = NAN, .token_accuracy = NAN, .failure = "no room to evaluate"});
        continue;
      }
      const State& trial = trials_.at(id);
      const double loss = std::fabs(trial.state - 1) + (request.test ? 1 : 0);
      results.push_back({.trial = id, .loss = loss, .token_accuracy = trial.state});
      if (request.examples) results.back().examples = {{loss, 1}, {2 * loss, 2}};
      if (request.tasks) results.back().task["exact_match"] = trial.state > 0.5 ? 1 - trial.state : trial.state;
      task_evaluations += request.tasks ? 1 : 0;
    }
    return results;
  }
  void change(TrialId id, const TrainConfig& config) override { trials_.at(id).config = config; }
  void copy(TrialId from, TrialId to, const TrainConfig& config) override {
    trials_.at(to).state = trials_.at(from).state;
    trials_.at(to).config = config;
  }
  std::shared_ptr<const TrialImage> capture(TrialId id) const override {
    if (images.use_count() > most_images) return nullptr;
    auto image = std::make_shared<FakeImage>();
    image->room = images;
    image->state = trials_.at(id).state;
    image->step = trials_.at(id).step;
    image->weights[1] = static_cast<float>(image->state);
    return image;
  }
  void restore(TrialId id, const TrainConfig& config, const TrialImage& image) override {
    if (no_room_to_restore) throw bad_input("lane", "out of memory");
    const auto& fake = dynamic_cast<const FakeImage&>(image);
    trials_[id] = {config, fake.state, fake.step};
  }
  void copy_from_image(const TrialImage& image, TrialId to, const TrainConfig& config) override {
    trials_.at(to).state = dynamic_cast<const FakeImage&>(image).state;
    trials_.at(to).config = config;
  }
  std::shared_ptr<const TrialImage> image_of(const ImageParts& parts) const override {
    auto image = std::make_shared<FakeImage>();
    image->state = parts.values.at("state").get<double>();
    image->step = parts.values.at("step").get<std::int64_t>();
    image->weights.assign(parts.arrays.at(0).second.begin(), parts.arrays.at(0).second.end());
    return image;
  }
  std::size_t widest = 0;
  std::vector<std::size_t> widths;            // trials of each step
  double seed_matters = 0;                    // the state that a trial begins with, by its seed
  int task_evaluations = 0;                   // trials of which more than the loss was asked
  int interrupt_at = 0;                       // the step that the user interrupts; 0 = none
  std::map<TrialId, std::int64_t> misfit_at;  // the step of a trial from which on there is no memory for it
  std::set<TrialId> cannot_evaluate, refused;
  bool no_room_to_restore = false, fails_to_look = false;
  long most_images = 1 << 20;                                          // of this lane that there is memory for
  std::shared_ptr<const int> images = std::make_shared<const int>(0);  // everyone holds it
  std::optional<TrialId> breaks_at_admission;                          // the lane, not the trial

 private:
  struct State {
    TrainConfig config;
    double state = 0;
    std::int64_t step = 0;
  };
  std::int64_t slots_;
  std::map<TrialId, State> trials_;
};

// Learning rates as a grid: trial i has rates[i].
inline std::unique_ptr<Tuner> tuner_over(const std::vector<Value>& rates, const std::string& scheduler,
                                         std::int64_t steps, Params options = {}) {
  const SearchSpace space{{{.name = "learning_rate", .choices = rates}}};
  TunerOptions tuner{.trials = static_cast<std::int64_t>(rates.size()), .max_steps = steps, .default_min_steps = 1};
  return std::make_unique<Tuner>(tuner, make_sampler("grid", {{}, space, 0}),
                                 make_scheduler(scheduler, {std::move(options), space, tuner}));
}

inline StudyOptions options_for(std::int64_t steps) {
  StudyOptions options;
  options.configure = [steps](const Params& params) {
    TrainConfig config;
    config.steps = steps;
    config.learning_rate = params.empty() ? 0.01 : as_number(params.front().second);
    return config;
  };
  return options;
}

}  // namespace finetune::testing
