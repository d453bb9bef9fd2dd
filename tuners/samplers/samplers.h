// The samplers there are. Each is one file; the registry knows them by name.
#pragma once

#include <cstdint>
#include <memory>

#include "tuners/registry.h"
#include "tuners/tuner.h"

namespace finetune {

/// CMA-ES (cmaes/) over the numbers that are always active, with a margin for whole numbers and steps; categories and
/// conditional parameters are drawn uniformly. Learns from each `population` trials that have come to rest, ranked by
/// how far they got, then by value; failed ones are the worst. Starts from trials that others chose (listed ones) where
/// there are any. Options: `population` (4 + 3 ln n), `sigma` (1/6 of the range), `restarts: ipop|none`.
std::unique_ptr<Sampler> make_cmaes(const SamplerRequest& request);
/// Every cell of the product once, in the order of the keys as written, last key fastest; inactive parameters collapse.
/// Needs choices, int or step. Listed trials come before and use up no cell. Option `order: product|shuffled`.
std::unique_ptr<Sampler> make_grid(const SamplerRequest& request);
/// Point k of the Halton sequence, scrambled by the seed (halton_points.h), for trial k: a parameter an axis, in order.
std::unique_ptr<Sampler> make_halton(const SamplerRequest& request);
/// Independent uniform draws (Bergstra and Bengio, 2012); trial k's draw depends on the seed and k alone.
std::unique_ptr<Sampler> make_random(const SamplerRequest& request);
/// Point k of the Sobol sequence, scrambled by the seed (sobol_points.h), for trial k: a parameter an axis, in order.
std::unique_ptr<Sampler> make_sobol(const SamplerRequest& request);

}  // namespace finetune
