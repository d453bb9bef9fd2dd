// Trials that the user wants first: listed values before any sampler's own (tune.enqueue). A list may hold whole
// trials, or a start value for some parameters; the sampler behind completes it.
#pragma once

#include <memory>
#include <vector>

#include "tuners/tuner.h"

namespace finetune {

/// The list with every value in its parameter's own type (a whole number for a real parameter becomes real). Throws
/// Error (bad_input, naming tune.enqueue[1].train.learning_rate) for an unknown or repeated parameter, a value outside
/// the range, between the steps or not among the choices, and for a conditional parameter unless what it depends on is
/// listed beside it and switches it on.
std::vector<Params> checked_enqueue(const SearchSpace& space, const std::vector<Params>& list);

/// Trial k below list.size() has the values of list[k], completed by what `inner` proposes for trial k; parameters that
/// neither has (active by a listed choice, inactive in the proposal) are uniform draws keyed on the seed and k. Later
/// trials are inner's. Takes a checked list.
std::unique_ptr<Sampler> make_enqueued(SearchSpace space, std::vector<Params> list, std::uint64_t seed,
                                       std::unique_ptr<Sampler> inner);

}  // namespace finetune
