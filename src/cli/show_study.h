// What `tune` and `resume` print at their end.
#pragma once

#include "report/facts.h"

namespace finetune {

/// The report as text or JSON to stdout; gives the exit code: 0, or 130 for a study that the user interrupted. Throws
/// Error (failed) where every trial failed.
int show_study(const ReportFacts& study, bool json);

}  // namespace finetune
