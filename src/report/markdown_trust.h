// Parts of report.md on how far the winner can be trusted. Each ends with a line end, or is "" where there is nothing.
#pragma once

#include <string>

#include "report/facts.h"

namespace finetune {

/// As a cell of a table: bars and line ends would break the row.
std::string markdown_cell(const std::string& text);

std::string markdown_hints(const ReportFacts& study);
std::string markdown_certainty(const ReportFacts& study);  ///< seeds, other validation examples, test data
std::string markdown_stopping(const ReportFacts& study);   ///< the audit, and what rungs compare
std::string markdown_ablation(const ReportFacts& study);
std::string markdown_profile(const ReportFacts& study);  ///< where the time went
std::string markdown_samples(const ReportFacts& study);

}  // namespace finetune
