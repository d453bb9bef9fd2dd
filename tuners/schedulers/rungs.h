// Rung arithmetic, in integers: what the halving schedulers share.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "core/trial.h"
#include "tuners/options.h"
#include "tuners/tuner.h"

namespace finetune {

/// min_steps x eta^k for all k with a value below max_steps.
std::vector<std::int64_t> rung_steps(std::int64_t min_steps, std::int64_t eta, std::int64_t max_steps);

/// How many of a cohort of n go on: floor(n / eta), at least 1.
std::int64_t survivors(std::int64_t n, std::int64_t eta);

/// What a rung has seen: (minimised value, trial).
using RungEntries = std::vector<std::pair<double, TrialId>>;

/// True when the trial is among the best `keep` entries; ties go to the lower id.
bool is_among_best(const RungEntries& entries, TrialId trial, std::int64_t keep);

/// The first of `rungs` at or after `step`.
std::optional<std::int64_t> next_rung(std::span<const std::int64_t> rungs, std::int64_t step);

/// Options min_steps and reduction_factor. An explicit min_steps above the budget is refused.
struct RungOptions {
  std::int64_t min_steps = 1, reduction_factor = 3;
};
RungOptions read_rung_options(OptionReader& options, const TunerOptions& tuner);

}  // namespace finetune
