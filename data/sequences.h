// Several sequences as one example: the answers of a row of preferences, each behind its prompt.
#pragma once

#include <cstdint>
#include <vector>

#include "data/example.h"

namespace finetune {

/// Cuts what follows an answer, which nothing is learned from, and lets the answers of all begin at the same token: the
/// first that is any's, since a token may cross the border of one alone. Sequences without a loss token stay.
void align_answers(std::vector<Example>& sequences);

/// One behind the other; `answers` and `ends` say where. `learns_first`: of the first one every token but the first is
/// learned, prompt included.
Example joined(const std::vector<Example>& sequences, bool learns_first);

}  // namespace finetune
