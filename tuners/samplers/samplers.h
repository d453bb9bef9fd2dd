// The samplers there are. Each is one file, with its options; the registry lists them.
#pragma once

#include "tuners/registry.h"

namespace finetune {

/// Bayesian optimisation with a Gaussian process that fits itself (gp/): Matern 5/2 with a length scale for each
/// parameter, log expected improvement, fantasies for running trials, a model of where trials fail. A proposal depends
/// on the seed, the id and the trials alone.
SamplerKind gp_kind();
/// CMA-ES (cmaes/) over the numbers that are always active, with a margin for whole numbers and steps; categories and
/// conditional parameters are drawn uniformly. Learns from each `population` trials that have come to rest, ranked by
/// how far they got, then by value; failed ones are the worst. Starts from trials that others chose (listed ones) where
/// there are any.
SamplerKind cmaes_kind();
/// Every cell of the product once, in the order of the keys as written, last key fastest; inactive parameters collapse.
/// Needs choices, int or step. Listed trials come before and use up no cell.
SamplerKind grid_kind();
/// Point k of the Halton sequence, scrambled by the seed (halton_points.h), for trial k: a parameter an axis, in order.
SamplerKind halton_kind();
/// PriorBand (Mallik et al., NeurIPS 2023; priorband/) beside any halving: a proposal is a uniform draw, one around the
/// user's guesses (`start`), or, once a bracket's worth of steps is spent and a trial completed, a variation of the
/// best trial, with probabilities by rung and by how likely prior and incumbent make the best third (mixture.h). A
/// parameter without a guess has a uniform prior; where none has one, so is the whole prior, as in NePS.
/// It computes what NePS 0.17.0 does, the authors' own, except for what a sampler does not know or what cannot be
/// meant:
/// - which rung a trial starts at is the scheduler's: here it is option `rung`, 0 unless said, so half of the proposals
///   are uniform. That is right for asha, asha_promotion, pasha and Hyperband's first bracket; in its other brackets
///   the paper draws less uniformly.
/// - rungs are the steps at which trials have values (observe()), the lowest and the highest of them the bracket's
/// ends;
///   steps spent are counted as trained, where NePS weighs an evaluation by the number of its rung.
/// - the incumbent comes in when all three conditions hold (leaders()); in NePS 0.17.0 two of them never fail, since
///   they are compared by identity.
/// - the incumbent is the best at the highest step; NePS's has the lowest value at any, which is the same where losses
///   fall. A variation changes at least one parameter, so that nothing is trained twice for no reason.
/// - whole, stepped and ordinal values stand in the middle of their share of the unit interval (position_of), NePS's
///   whole numbers at (x - low) / (high - low), though they are drawn by equal shares there too.
/// Trials of earlier studies count as this one's.
SamplerKind priorband_kind();
/// Independent uniform draws (Bergstra and Bengio, 2012); trial k's draw depends on the seed and k alone.
SamplerKind random_kind();
/// Tree-structured Parzen estimator (Bergstra et al., NIPS 2011; Watanabe, arXiv 2304.11127): the best of `candidates:
/// 24` draws from the density of good trials, by its ratio to that of bad ones; random until `startup: 10` trials
/// finished. `mode: standard` follows Optuna 5.0: `multivariate: true` (one density over all parameters),
/// `constant_liar: true` (pending trials are bad), `group: true` (conditional parameters are modelled with those they
/// always occur with). It learns from unfinished trials (observe()), and failed ones are bad. `mode: optuna4` is
/// Optuna 4.9.0's TPESampler but for its random numbers: the three options default to false and failed trials are
/// ignored.
SamplerKind tpe_kind();
/// Point k of the Sobol sequence, scrambled by the seed (sobol_points.h), for trial k: a parameter an axis, in order.
SamplerKind sobol_kind();

}  // namespace finetune
