// The samplers there are. Each is one file; the registry knows them by name.
#pragma once

#include <cstdint>
#include <memory>

#include "tuners/registry.h"
#include "tuners/tuner.h"

namespace finetune {

/// Every cell of the product once, in the order of the keys as written, last key fastest; inactive parameters collapse.
/// Needs choices, int or step. Option `order: product|shuffled`.
std::unique_ptr<Sampler> make_grid(const SamplerRequest& request);
/// Point k of the Halton sequence, scrambled by the seed (halton_points.h), for trial k: a parameter an axis, in order.
std::unique_ptr<Sampler> make_halton(const SamplerRequest& request);
/// Independent uniform draws (Bergstra and Bengio, 2012); trial k's draw depends on the seed and k alone.
std::unique_ptr<Sampler> make_random(const SamplerRequest& request);
/// Point k of the Sobol sequence, scrambled by the seed (sobol_points.h), for trial k: a parameter an axis, in order.
std::unique_ptr<Sampler> make_sobol(const SamplerRequest& request);

}  // namespace finetune
