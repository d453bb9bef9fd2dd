#include "core/trial.h"

namespace finetune {

const char* to_text(TrialState state) {
  switch (state) {
    case TrialState::running:
      return "running";
    case TrialState::paused:
      return "paused";
    case TrialState::completed:
      return "completed";
    case TrialState::stopped:
      return "stopped";
    case TrialState::failed:
      return "failed";
  }
  return "";
}

const char* to_text(Action::Do what) {
  switch (what) {
    case Action::Do::stop:
      return "stop";
    case Action::Do::pause:
      return "pause";
    case Action::Do::resume:
      return "resume";
    case Action::Do::change:
      return "change";
    case Action::Do::copy:
      return "copy";
  }
  return "";
}

}  // namespace finetune
