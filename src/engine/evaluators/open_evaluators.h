// From the configuration to the evaluators of a run: which rows are asked about, with what labels and end tokens.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "config/run_config.h"
#include "engine/evaluators/evaluator.h"
#include "engine/open_data.h"
#include "engine/open_model.h"

namespace finetune {

using Evaluators = std::vector<std::shared_ptr<const Evaluator>>;

/// Sets data.labels to the labels as used where a metric wants some: those of data.train where none are given, else
/// those of the validation data itself, which is said. Throws Error (bad_input) for labels that are no choice.
void settle_labels(RunConfig& config, const OpenedData& data, const DataUse& use, std::vector<std::string>& notes);

/// How many rows of a set may be asked about, at most.
struct RowLimits {
  std::size_t losses = SIZE_MAX, choices = SIZE_MAX, texts = SIZE_MAX;
};

/// Whether a tuned loss is over all validation rows: tune.eval_share is not given.
bool asks_all_rows(const RunConfig& config);

/// That it is, and how many a share of the time would ask; "" where it would ask all too.
std::string all_rows_note(const RunConfig& config, const OpenedData& data);

/// So many, 32 at least, that evaluations take tune.eval_share of a trial's time, by the tokens that either computes:
/// nothing is measured, so that the same rows are asked on every machine. Texts no more than tune.generate.examples,
/// and as many where that was given. Losses have no limit where they are tuned and tune.eval_share is not given.
RowLimits limits_by_share(const RunConfig& config, const OpenedData& data);

/// Leaves `most` examples at most, always the same, in their order. Adds to `notes` how many.
void limit_examples(Dataset& data, std::size_t most, std::vector<std::string>& notes);

/// For tune.metric and run.metrics, over the examples of `data` (the held-out part of its files, say), which keep the
/// order they have; where there are more than the limits a part that is always the same. Labels are settled. Adds to
/// `notes` how many rows are taken and what was assumed. Throws Error (bad_input) naming file and line.
Evaluators open_evaluators(const RunConfig& config, const OpenedModel& model, const Dataset& data,
                           const RowLimits& limits, const DataUse& use, std::vector<std::string>& notes);

}  // namespace finetune
