// Sentences that the page and report.md both have.
#pragma once

#include <optional>
#include <string>

#include "report/facts.h"

namespace finetune {

/// "trial 7", "the default configuration".
std::string name_of(std::optional<std::int64_t> trial);

/// What the trials that ran on after they were stopped say; "" without an audit.
std::string audit_text(const ReportFacts& study);

/// "valid_loss at rungs ranks trials as exact_match at the end: Spearman 0.83 over 12 trials."; "" where rungs compare
/// the metric itself.
std::string rung_agreement_text(const ReportFacts& study);

/// A text that is too long to be read in a table, cut between characters at some 600 bytes, with a mark.
std::string shortened(const std::string& text);

}  // namespace finetune
