// Studies that nobody played, of every kind that a report has to show: for its tests and for looking at pages
// (write_pages.cpp). Random numbers are streams, so they are the same everywhere.
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "report/facts.h"

namespace finetune::testing {

/// Trials under asha with rungs at a tenth and three tenths of 100 steps, over `parameters` searched ones (two at
/// least), two of which matter. Analyzed.
ReportFacts made_study(std::size_t trials, std::size_t parameters = 5);
/// A population of eight that copies weights and changes rates.
ReportFacts made_population();
/// Six trials, all of which diverged.
ReportFacts made_failure();

/// Forty trials whose winner was confirmed, scored on test data, compared by examples, with everything else that is
/// said of trust.
ReportFacts made_trust();

/// The six to be looked at, by name.
std::vector<std::pair<std::string, ReportFacts>> made_studies();

}  // namespace finetune::testing
