// The library's entry for one configuration without a search: the whole of the verb `train`.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "config/config.h"
#include "engine/study.h"
#include "host/hooks.h"
#include "report/profile.h"

namespace finetune {

struct TrainResult {
  std::filesystem::path weights;        ///< OUT/adapter (PEFT), or OUT/model for full fine-tuning
  bool full = false;                    ///< a whole model
  std::string base;                     ///< model.path
  std::string base_settings;            ///< of a quantised base: " --set KEY=VALUE" of each key that says so
  std::string metric;                   ///< tune.metric
  std::vector<Metric> metrics;          ///< it and those of run.metrics
  bool interrupted = false;             ///< by the user, before its end
  bool can_resume = false;              ///< there is a save to go on from
  std::optional<ProfileFacts> profile;  ///< where the time went, with run.profile
  Trial trial;
};

/// `search` and `tune` are ignored. Leaves run.yaml, metrics.jsonl and the weights in run.out: the last ones, or with
/// train.patience the best. Throws Error before anything is written when the configuration or the data cannot be used,
/// and when training fails.
TrainResult train(RunConfig config, const StudyHooks& hooks = {}, bool overwrite = false);

}  // namespace finetune
