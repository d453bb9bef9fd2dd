// What trials begin with or are held against, computed once for all of them.
#pragma once

#include "engine/session.h"

namespace finetune {

/// The reference's losses where train.objective needs them (reference.h), and the principal parts of the base where
/// some trial begins as pissa (models/pissa.h), once for each device. To be called before the lanes are made. Says what
/// each took; throws Interrupted.
void compute_starts(Session& session);

}  // namespace finetune
