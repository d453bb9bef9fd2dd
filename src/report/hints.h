// What the user of a study should know of it, each with its evidence in one line. A hint is a row of the table in
// hints.cpp: a function from facts to hints, none where the facts are missing. Torch-free, plain values.
#pragma once

#include <vector>

#include "report/facts.h"

namespace finetune {

/// Everything that does not depend on a clock; analyze keeps it in study.hints, and report.json has it:
/// - the best value lies at the end of a range (its outermost 2 %, the first or last of ordinal choices or of whole
///   numbers) beyond which there may be more;
/// - the metric of the best trial, or of most of those that completed, is worse at the end than at its best by a
///   hundredth or more, while the training loss fell;
/// - the learning rate shares a tenth or more of the variance with the batch size or the rank;
/// - rungs at which the guard stopped nobody;
/// - validation examples that are too few to tell the winner from the next best, and how many would do.
std::vector<HintFact> hints_of(const ReportFacts& study);

/// study.hints, and what times say (report.json has the times, under `cost`): most of the time went into evaluation.
std::vector<HintFact> hints_to_show(const ReportFacts& study);

}  // namespace finetune
