#include "host/compare/play_curves.h"

#include <chrono>
#include <utility>

namespace finetune {

CurvePlayer::CurvePlayer(Tuner& tuner, Start start, std::int64_t concurrent)
    : tuner_(tuner), start_(std::move(start)), concurrent_(concurrent) {}

bool CurvePlayer::round() {
  start_new();
  step_running();
  if (reports_.empty()) return false;
  ask_tuner();
  return true;
}

void CurvePlayer::start_new() {
  std::vector<Action> actions;
  std::vector<NewTrial> fresh;
  timed([&] { fresh = tuner_.ask(concurrent_, actions); });
  for (const NewTrial& trial : fresh) runs_[trial.id].weights = start_(trial.id);
  copy_weights(actions);
}

void CurvePlayer::step_running() {
  reports_.clear();
  for (const auto& [id, run] : runs_) {
    const TrialRecord& trial = *tuner_.find(id);
    if (trial.state != TrialState::running) continue;
    reports_.push_back({.trial = id, .step = trial.step + 1, .metric = run.weights->step(trial.params)});
  }
  steps_ += static_cast<std::int64_t>(reports_.size());
}

void CurvePlayer::ask_tuner() {
  std::vector<Action> actions;
  timed([&] { tuner_.report(reports_, actions); });
  // What ended keeps no weights, so it cannot be a donor: copies come from those that still run.
  for (const Report& report : reports_) {
    const TrialState state = tuner_.find(report.trial)->state;
    if (state != TrialState::running && state != TrialState::paused) runs_.at(report.trial).weights.reset();
  }
  copy_weights(actions);
}

// All copies of one answer are made at once.
void CurvePlayer::copy_weights(std::span<const Action> actions) {
  std::map<TrialId, std::unique_ptr<CurveRun>> copies;
  for (const Action& action : actions) {
    if (action.what == Action::Do::copy) copies[action.trial] = runs_.at(action.from).weights->clone();
  }
  for (auto& [id, weights] : copies) runs_[id] = {std::move(weights), true};
}

void CurvePlayer::timed(const std::function<void()>& decide) {
  const auto started = std::chrono::steady_clock::now();
  decide();
  decision_seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  ++decisions_;
}

}  // namespace finetune
