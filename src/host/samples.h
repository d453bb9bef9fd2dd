// What the base and the best answer to some prompts of the validation data.
#pragma once

#include <optional>
#include <vector>

#include "engine/session.h"
#include "models/peft.h"
#include "report/facts.h"

namespace finetune {

/// Ten rows at most, a few dozen tokens each; none where rows have no prompt, or when the user asks for the end.
std::vector<SampleFact> sample_outputs(const Session& session, const PeftAdapter& best);

}  // namespace finetune
