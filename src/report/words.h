// Sentences that the page and report.md both have.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "report/facts.h"

namespace finetune {

/// "trial 7", "the default configuration".
std::string name_of(std::optional<std::int64_t> trial);

/// "1 trial", "3 trials".
std::string trials_text(std::size_t count);

/// "3 trials, 1 completed, 2 stopped"; "8 trials, all failed".
std::string states_text(const ReportFacts& study);

/// From `low` to `high`, of which one may be below 0: "0.1 to 0.3 better", "0.1 worse to 0.3 better".
std::string better_text(double low, double high);

/// That the best could not be measured once more at the end, and why; "" where they were.
std::string last_look_text(const ReportFacts& study);

/// What the trials that ran on after they were stopped say; "" without an audit.
std::string audit_text(const ReportFacts& study);

/// "macro_f1 0.55, exact_match 0.2 (at step 90)": what else was measured of the trial, at the step of its metric where
/// no other is named; "" for nothing.
std::string further_text(const TrialFacts& trial);

/// "valid_loss at rungs ranks trials as exact_match at the end: Spearman 0.83 over 12 trials."; "" where rungs compare
/// the metric itself.
std::string rung_agreement_text(const ReportFacts& study);

/// A text that is too long to be read in a table, cut between characters at some 600 bytes, with a mark.
std::string shortened(const std::string& text);

}  // namespace finetune
