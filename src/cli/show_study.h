// What `tune` and `resume` print at their end.
#pragma once

#include "report/facts.h"

namespace finetune {

/// Throws Error (failed) where a study that its user let go to its end has no best trial.
void require_winner(const ReportFacts& study);

/// The report as text or JSON to stdout; gives the exit code: 0, or 130 for a study that the user interrupted. Throws
/// as require_winner does.
int show_study(const ReportFacts& study, bool json);

}  // namespace finetune
