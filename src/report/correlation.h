// Whether stopping is safe here: how well the order of trials at a step says their order later on.
#pragma once

#include <optional>
#include <vector>

#include "report/facts.h"

namespace finetune {

/// Spearman's rank correlation, ties at the mean of their ranks; 0 where one side has a single value. As many of one as
/// of the other, and all finite.
double spearman(const std::vector<double>& a, const std::vector<double>& b);

/// Of every two steps at which at least five trials were evaluated, both at once. Of more than eight such steps the
/// last and seven spread over the others. Only trials that went on are in it; those that a scheduler stopped were the
/// worse ones, so over all trials the correlation may well be higher.
std::vector<CorrelationFact> budget_correlations(const std::vector<TrialFacts>& trials);

/// Of the trials' values of study.rung_metric at the highest rung that at least five trials passed, or at the end where
/// there is none, and their metrics at the end: 1 where both find the same trials good. Nothing for fewer trials.
std::optional<CorrelationFact> agreement_at_rungs(const ReportFacts& study);

}  // namespace finetune
