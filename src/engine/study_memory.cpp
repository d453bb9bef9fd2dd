// Where a copy of a trial finds no memory, though its lane took back what there was: what is being saved holds copies
// too, and is waited for. A save can be done without, which is said; the copy that a decision needs cannot.
#include <new>
#include <string>

#include "core/error.h"
#include "engine/study.h"

namespace finetune {

static std::string name_of(TrialId id) {
  if (id == kDefaultRun) return "the default configuration";
  return id.value < 0 ? "a run after the search" : "trial " + std::to_string(id.value);
}

std::shared_ptr<const TrialImage> Study::try_capture(const Trial& trial) {
  if (auto image = lanes_.at(trial.lane).capture(trial.id)) return image;
  for (StudySaver* saver : options_.savers) saver->let_go();
  return lanes_.at(trial.lane).capture(trial.id);
}

std::shared_ptr<const TrialImage> Study::capture(const Trial& trial) {
  if (auto image = try_capture(trial)) return image;
  throw failed("", "out of memory for a copy of " + name_of(trial.id) + "; lower tune.concurrent or the rank");
}

// Two copies of one trial are one too many.
void Study::keep_best(Trial& trial) {
  auto image = try_capture(trial);
  trial.best_image.reset();
  trial.best_image = image ? std::move(image) : capture(trial);
}

// The state beside the copies takes memory too.
std::optional<StudyState> Study::fitting_snapshot() {
  try {
    return snapshot();
  } catch (const std::bad_alloc&) {
    return std::nullopt;
  }
}

}  // namespace finetune
