// Rung arithmetic, in integers: what the halving schedulers share.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/trial.h"
#include "tuners/options.h"
#include "tuners/tuner.h"

namespace finetune {

/// min_steps x eta^k for all k with a value below max_steps.
std::vector<std::int64_t> rung_steps(std::int64_t min_steps, std::int64_t eta, std::int64_t max_steps);

/// One round of successive halving: so many trials, judged at these steps.
struct Bracket {
  std::int64_t trials = 0;
  std::vector<std::int64_t> rungs;  ///< ascending, below max_steps; empty: every trial runs to the end
  friend bool operator==(const Bracket&, const Bracket&) = default;
};

/// Hyperband's brackets (Li et al., JMLR 2018, algorithm 1), most trials first, in integers: s_max is the largest s
/// with min_steps x eta^s <= max_steps; bracket s has ceil((s_max + 1) eta^s / (s + 1)) trials and its first rung at
/// min_steps x eta^(s_max - s). For min_steps 1, eta 3, max_steps 81: 81 34 15 8 5 trials.
std::vector<Bracket> hyperband_brackets(std::int64_t min_steps, std::int64_t eta, std::int64_t max_steps);

/// The first multiple of `interval` that is at least `step` and at least `interval`: where a scheduler looks next.
std::int64_t next_look(std::int64_t step, std::int64_t interval);

/// How many of a cohort of n go on: floor(n / eta), at least 1.
std::int64_t survivors(std::int64_t n, std::int64_t eta);

/// What a rung has seen: (minimised value, trial), best first; ties go to the lower id.
using RungEntry = std::pair<double, TrialId>;
using RungEntries = std::vector<RungEntry>;

/// Inserts in order.
void enter(RungEntries& entries, const RungEntry& entry);

/// True when the entry is among the best `keep`.
bool is_among_best(const RungEntries& entries, const RungEntry& entry, std::int64_t keep);

/// The trial's value at exactly its present step; nothing when this report carried none.
std::optional<double> fresh_value(const TrialRecord& trial);

/// The trial's value at exactly `step`.
std::optional<double> value_at_step(const TrialRecord& trial, std::int64_t step);

/// The first (step, value) at or past `step`: the one that counts for a rung there. Null when there is none.
const std::pair<std::int64_t, double>* value_from(const TrialRecord& trial, std::int64_t step);

/// The step of the value before the trial's fresh one; 0 when there is none.
std::int64_t valued_before(const TrialRecord& trial);

/// Those of `rungs` that the trial's fresh value has reached: its first at or past them. A trial that reports now
/// and then may reach several at once. Empty without a fresh value.
std::span<const std::int64_t> rungs_reached(std::span<const std::int64_t> rungs, const TrialRecord& trial);

/// Those that reach at least one of `rungs`.
std::vector<const TrialRecord*> that_reach(std::span<const std::int64_t> rungs,
                                           std::span<const TrialRecord* const> reported);

/// The trial's fresh value is its first at or past a multiple of `interval`.
bool reaches_look(const TrialRecord& trial, std::int64_t interval);

/// Those whose fresh value has reached the rung and whom none of `decided` stops, as entries of it, in the given order.
std::vector<RungEntry> arrivals(std::span<const TrialRecord* const> reported, std::int64_t rung,
                                std::span<const Action> decided);

/// Stops those of `judged` that are not among the best `keep` of the rung they have entered. They are judged together,
/// after all of them were entered.
void stop_losers(const RungEntries& rung, std::int64_t step, std::span<const RungEntry> judged, std::int64_t keep,
                 std::vector<Action>& actions);

/// "rung 9: not among the best 4 of 12", for people.
std::string rung_reason(std::int64_t step, std::int64_t keep, std::size_t of);

/// The first of `rungs` at or after `step`.
std::optional<std::int64_t> next_rung(std::span<const std::int64_t> rungs, std::int64_t step);

/// Options min_steps and reduction_factor. An explicit min_steps above the budget is refused, one below
/// TunerOptions::first_look raised to it.
struct RungOptions {
  std::int64_t min_steps = 1, reduction_factor = 3;
};
RungOptions read_rung_options(const OptionReader& options, const TunerOptions& tuner);
OptionSpec min_steps_option();
OptionSpec reduction_factor_option();

nlohmann::json rung_to_json(const RungEntries& entries);
RungEntries rung_from_json(const nlohmann::json& json, std::span<const TrialRecord> trials);

}  // namespace finetune
