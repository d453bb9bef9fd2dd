// What the population schedulers share: who is ready, who copies, how a parameter moves, how alike the members are.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "tuners/options.h"
#include "tuners/registry.h"
#include "tuners/space/space.h"
#include "tuners/tuner.h"

namespace finetune {

/// Members whose fresh value is their first at or past a multiple of `interval`, below max_steps, best first; ties go
/// to the lower id. Those of one round are one population; who passes several multiples at once is ready once.
std::vector<const TrialRecord*> ready_members(std::span<const TrialRecord* const> reported, std::int64_t interval,
                                              std::int64_t max_steps);

/// How many of n members copy: ceil(quantile n), at most half of them.
std::int64_t copiers(std::int64_t n, double quantile);

/// A number times `factor`, clipped to the space and moved by at least one step; of a list the neighbour, downwards for
/// factors below 1 (Ray's rule, with the clipping that it lacks).
Value perturb(const ParameterSpec& spec, const Value& value, double factor);

/// The donor's parameters with those in `mutate` replaced by `move(spec, present value)`. Conditions are looked up
/// again: a parameter that a choice switches off disappears, one that it switches on comes from `draw(spec)`.
Params explored(const SearchSpace& space, std::span<const std::string> mutate, const Params& donor,
                const std::function<Value(const ParameterSpec&, const Value&)>& move,
                const std::function<Value(const ParameterSpec&)>& draw);

/// How different the members' mutated parameters are: the mean over parameters of the standard deviation of positions
/// in the space, 1 for uniformly spread ones, 0 for identical ones or fewer than two members.
double diversity(const SearchSpace& space, std::span<const std::string> mutate,
                 std::span<const TrialRecord* const> members);

/// Option `mutate`: names of searched parameters that may change during training; absent: all of those.
std::vector<std::string> read_mutated_names(const OptionReader& options, const SchedulerRequest& request);

/// Options `interval`, `quantile` and `mutate`.
std::vector<OptionSpec> population_options();

}  // namespace finetune
