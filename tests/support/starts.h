// A user's guess for measuring what samplers make of it.
#pragma once

#include <cmath>
#include <functional>
#include <optional>
#include <string>

#include "core/random.h"
#include "core/value.h"
#include "tuners/space/space.h"

namespace finetune::testing {

inline constexpr int kGuesses = 50;

/// Of `kGuesses` uniform draws keyed on the seed the one with the lowest value (kind "good") or the highest ("bad"), if
/// finite; empty for no kind.
inline Params start_of(const SearchSpace& space, const std::function<double(const Params&)>& value,
                       const std::string& kind, std::uint64_t seed) {
  if (kind.empty()) return {};
  Random random(seed, Purpose::test, 0x57a27);
  std::optional<Params> start;
  double chosen = 0;
  for (int i = 0; i < kGuesses; ++i) {
    Params params = sample_uniform(space, random);
    const double found = value(params);
    if (!std::isfinite(found) || (start && (kind == "good" ? found >= chosen : found <= chosen))) continue;
    start = std::move(params);
    chosen = found;
  }
  return *start;
}

/// As the program does: the first trial has the guess.
inline std::vector<Params> first_trials(const Params& start) {
  return start.empty() ? std::vector<Params>{} : std::vector<Params>{start};
}

/// "priorband, good start": how a row names its sampler.
inline std::string with_start(const std::string& sampler, const std::string& kind) {
  return kind.empty() ? sampler : sampler + ", " + kind + " start";
}

}  // namespace finetune::testing
