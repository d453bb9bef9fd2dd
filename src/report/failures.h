// What to do about trials that failed, from the trials' own parameters. Torch-free, plain values.
#pragma once

#include <string>

#include "report/facts.h"

namespace finetune {

/// One line with its evidence: how many trials diverged, or found no memory, and which key to lower. Empty while no
/// more than half of them did: a search has to find where training ends.
std::string failure_hint(const ReportFacts& study);

}  // namespace finetune
