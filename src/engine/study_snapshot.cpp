#include <cmath>
#include <limits>
#include <utility>

#include "core/error.h"
#include "engine/study.h"

namespace finetune {

static std::size_t index_of_extra(TrialId id) {
  return static_cast<std::size_t>(kDefaultRun.value - 1 - id.value);
}

bool StudyRound::is_broken(std::size_t i) const {
  return !steps[i].failure.empty() || !steps[i].finite || (metrics[i] && !std::isfinite(*metrics[i]));
}

Trial& StudyState::trial(TrialId id) {
  if (is_extra(id)) return extras.at(index_of_extra(id)).trial;
  return id == kDefaultRun ? default_run.value() : trials.at(static_cast<std::size_t>(id.value));
}

const Trial& StudyState::trial(TrialId id) const {
  if (is_extra(id)) return extra(id).trial;
  return id == kDefaultRun ? default_run.value() : trials.at(static_cast<std::size_t>(id.value));
}

const ExtraRun& StudyState::extra(TrialId id) const {
  return extras.at(index_of_extra(id));
}

// The results of steps under way belong to it: waiting for them changes no decision, since each round is judged in its
// turn.
std::optional<StudyState> Study::snapshot() {
  collect_all();
  receive(std::numeric_limits<std::int64_t>::max());
  StudyState snapshot = state_;
  for (const Trial* trial : running()) {
    if (!(snapshot.trial(trial->id).image = try_capture(*trial))) return std::nullopt;
  }
  snapshot.tuner = tuner_.save();
  if (options_.save_callback) snapshot.callback = options_.save_callback();
  for (std::size_t lane = 0; lane < lanes_.size(); ++lane)
    snapshot.tokens_per_pass.push_back(lanes_.at(lane).tokens_per_pass());
  return snapshot;
}

void Study::save_where_wanted(bool evaluated) {
  if (ended_ && ended_ != EndReason::interrupted) return;  // nothing would be left to go on with
  std::vector<StudySaver*> savers;
  for (StudySaver* saver : options_.savers) {
    if (saver->wants_save(state_.rounds, evaluated, ended_.has_value())) savers.push_back(saver);
  }
  if (savers.empty()) return;
  const std::optional<StudyState> now = fitting_snapshot();
  for (StudySaver* saver : savers) now ? saver->save(*now) : saver->not_saved(state_.rounds);
}

void Study::take_up(StudyState snapshot) {
  state_ = std::move(snapshot);
  tuner_.load(std::exchange(state_.tuner, {}));
  if (tuner_.trials().size() != state_.trials.size())
    throw bad_input("", "the save is damaged: its tuner knows other trials than its study");
  if (options_.load_callback) options_.load_callback(std::exchange(state_.callback, {}));
  for (std::size_t lane = 0; lane < lanes_.size(); ++lane)
    lanes_.at(lane).set_tokens_per_pass(state_.tokens_per_pass[lane]);
  state_.tokens_per_pass.clear();
  const auto configure = [this](Trial& trial) {
    try {
      trial.config = options_.configure(trial.params);
    } catch (const Error&) {
      if (trial.state != TrialState::failed && !trial.elsewhere) throw;  // else that is why it failed
    }
  };
  if (state_.default_run) configure(*state_.default_run);
  for (Trial& trial : state_.trials) configure(trial);
  for (ExtraRun& run : state_.extras) {
    if (!run.started || run.trial.state == TrialState::failed) continue;
    run.trial.config = configured(run);
    run.trial.label = label_of(run, run.trial.config.seed);
  }
  for (Trial* trial : running()) {
    lanes_.at(trial->lane).restore(trial->id, trial->config, *trial->image);
    trial->image.reset();
  }
}

StudyResult Study::resume(StudyState snapshot) {
  take_up(std::move(snapshot));
  for (auto* observer : observers_) observer->on_resume(state_);
  return play();
}

}  // namespace finetune
