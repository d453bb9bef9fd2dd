// How far a study's winner can be believed: what is done for it once the search is over, and what a report says of it.
#pragma once

#include "engine/after_search.h"
#include "engine/session.h"
#include "engine/study.h"
#include "report/facts.h"

namespace finetune {

/// What tune.confirm, tune.audit, tune.ablation and data.test ask for.
AfterSearch after_search(const Session& session);

/// What came of it. `facts` has its trials and its winner.
void add_trust(const Session& session, const StudyResult& result, ReportFacts& facts);

}  // namespace finetune
