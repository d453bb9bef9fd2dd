// The library's entry for comparing methods on the user's own model and data: every method tunes under the same budget,
// on one base loaded once.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "host/compare/sweep.h"

namespace finetune {

struct CompareHooks {
  std::function<bool()> stop;                        ///< asked after each round: true ends the comparison
  std::function<void(const std::string& line)> say;  ///< as StudyHooks::say
  /// After each study: the table so far, and the studies behind it.
  std::function<void(const ComparisonTable&, std::span<const ComparedRun>)> on_study;
};

/// `config`: as for tune; tune.sampler, tune.scheduler and tune.method are replaced by options.methods. Study k of a
/// method has tune.seed + k and train.seed + k. Without `widths`: tune.concurrent, or 4 where they fit. Creates run.out
/// with run.yaml in it; a study that `stop` cut short is not in the table. Throws Error before anything is written when
/// configuration, methods, data or memory do not allow it.
ComparisonTable compare(RunConfig config, CompareOptions options, const CompareHooks& hooks, bool overwrite);

}  // namespace finetune
