// What the verbs tune and train leave behind: weights, best.yaml, the summary for the reports.
#pragma once

#include <filesystem>
#include <string>

#include "engine/session.h"
#include "engine/study.h"
#include "report/facts.h"

namespace finetune {

/// run.yaml: the resolved configuration behind a few comment lines on version, device and seed.
std::string run_yaml(const Session& session);

/// What write_weights writes of a LoRA trial.
PeftAdapter adapter_of(ParameterStore& store, const Trial& trial, const TrialImage& image);

/// A PEFT adapter (LoRA) or a HuggingFace checkpoint (full) from a trial's image.
void write_weights(const Session& session, ParameterStore& store, const Trial& trial, const TrialImage& image,
                   const std::filesystem::path& folder);

/// The configuration with which `train` gives the best trial's weights again, bit for bit.
RunConfig best_config(const Session& session, const Trial& best);

/// What a report can say before the first step: no trials, no cost.
ReportFacts known_before(const Session& session);
/// `known` with what came of it.
ReportFacts summarize(ReportFacts known, const StudyResult& result, double seconds);

}  // namespace finetune
