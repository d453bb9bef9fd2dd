#include "engine/actions.h"

#include <algorithm>
#include <cmath>

#include "core/number.h"

namespace finetune {
namespace {

// Smaller is stronger.
int strength(Action::Do what) {
  switch (what) {
    case Action::Do::stop:
      return 0;
    case Action::Do::pause:
      return 1;
    case Action::Do::copy:
      return 2;
    case Action::Do::change:
      return 3;
    case Action::Do::resume:
      return 4;
  }
  return 5;
}

}  // namespace

std::string failure_reason(const StepResult& step) {
  if (!step.failure.empty()) return step.failure;
  if (!std::isfinite(step.train_loss))
    return "loss is " + number_to_text(step.train_loss) + " at step " + std::to_string(step.step);
  if (!std::isfinite(step.gradient_norm))
    return "gradient norm is " + number_to_text(step.gradient_norm) + " at step " + std::to_string(step.step);
  return "metric is not finite at step " + std::to_string(step.step);
}

void merge_callback(const std::function<void(std::span<const Report>, std::vector<Action>&)>& callback,
                    std::span<const Report> reports, Tuner& tuner, std::vector<Action>& actions) {
  std::vector<Action> own;
  callback(reports, own);
  for (auto& action : own) {
    const auto same =
        std::find_if(actions.begin(), actions.end(), [&](const Action& other) { return other.trial == action.trial; });
    if (same != actions.end()) {
      if (strength(action.what) >= strength(same->what)) continue;
      actions.erase(same);
    }
    std::vector<Action> consequences;  // of a stop: others may be resumed
    if (action.what == Action::Do::stop) tuner.tell(action.trial, TrialState::stopped, std::nullopt, consequences);
    if (action.what == Action::Do::change || action.what == Action::Do::copy)
      tuner.note_params(action.trial, action.params);
    actions.push_back(std::move(action));
    actions.insert(actions.end(), consequences.begin(), consequences.end());
  }
}

}  // namespace finetune
