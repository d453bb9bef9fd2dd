// How PriorBand divides its proposals between uniform draws, the prior and the incumbent (Mallik et al., NeurIPS 2023),
// as functions of plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "tuners/tuner.h"

namespace finetune {

/// Probabilities of the three; their sum is 1.
struct Shares {
  double uniform = 1, prior = 0, incumbent = 0;
};

/// Of uniform draws where trials start at `rung`, 0 being the lowest: 1 / (1 + eta^rung), so that the prior's share
/// grows as eta^rung.
double uniform_share(std::int64_t rung, std::int64_t eta);

/// log of the sum of (n - i) x exp(density i), best trial first: how likely a distribution makes the best n.
double log_rank_score(std::span<const double> log_densities);

/// What is not uniform, divided as the scores stand to each other.
Shares divide(double uniform, double log_prior_score, double log_incumbent_score);

/// Steps of Hyperband's first bracket with levels last / eta^k from `first` on: eta^s trials to the lowest of the s + 1
/// levels, of which one in eta goes on to the next.
double bracket_steps(std::int64_t first, std::int64_t last, std::int64_t eta);

/// What the incumbent's share is computed from. Pointers into the trials given.
struct Leaders {
  const TrialRecord* incumbent = nullptr;  ///< the best of those at the highest step
  std::vector<const TrialRecord*> top;     ///< the best of one in eta at the highest step that eta trials have reached
};

/// Nothing before a trial has completed, eta trials can be compared, and all together have done as many steps as a
/// bracket from the lowest step with a value to a completed trial's.
std::optional<Leaders> leaders(std::span<const TrialRecord> trials, std::int64_t eta);

/// The shares where there are leaders: prior and incumbent (centred.h) by how likely they make the top ones.
Shares shares_by(const Leaders& leaders, double uniform, const SearchSpace& space, const Params& centres,
                 double confidence);

}  // namespace finetune
