// Trials of earlier studies (tune.warm_start) before those of this one, in what a sampler sees. The scheduler, the
// budget and the choice of the best see this study's alone.
#pragma once

#include <memory>
#include <vector>

#include "tuners/tuner.h"

namespace finetune {

/// `inner` with `past` before the trials that it is asked with. Ids of the past are below 0 and ascend; its trials have
/// ended. They are part of the saved state, so a study that goes on does so with what it began with, whatever has
/// become of the files.
std::unique_ptr<Sampler> make_warm_started(std::vector<TrialRecord> past, std::unique_ptr<Sampler> inner);

}  // namespace finetune
