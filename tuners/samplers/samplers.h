// The samplers there are. Each is one file; the registry knows them by name.
#pragma once

#include <cstdint>
#include <memory>

#include "tuners/registry.h"
#include "tuners/tuner.h"

namespace finetune {

/// Bayesian optimisation with a Gaussian process that fits itself (gp/): Matern 5/2 with a length scale for each
/// parameter, log expected improvement, fantasies for running trials, a model of where trials fail. A proposal depends
/// on the seed, the id and the trials alone. Option `startup` (10): trials spread over the space before the model
/// is used.
std::unique_ptr<Sampler> make_gp(const SamplerRequest& request);
/// Every cell of the product once, in the order of the keys as written, last key fastest; inactive parameters collapse.
/// Needs choices, int or step. Option `order: product|shuffled`.
std::unique_ptr<Sampler> make_grid(const SamplerRequest& request);
/// Independent uniform draws (Bergstra and Bengio, 2012); trial k's draw depends on the seed and k alone.
std::unique_ptr<Sampler> make_random(const SamplerRequest& request);

}  // namespace finetune
