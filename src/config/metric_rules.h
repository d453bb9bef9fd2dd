// Which metrics a run measures, and which keys go with them.
#pragma once

#include <vector>

#include "config/run_config.h"
#include "core/metric.h"

namespace finetune {

/// tune.metric with tune.direction, then those of run.metrics that are others.
std::vector<Metric> wanted_metrics(const RunConfig& config);

/// Whether one of them is of this source.
bool measures(const RunConfig& config, MetricSource source);

/// What is compared before a trial's end: tune.rung_metric, or what it is by itself.
Metric rung_metric(const RunConfig& config);

/// Whether metrics beside the loss are measured before a trial's end too.
bool tasks_at_rungs(const RunConfig& config);

/// Throws Error (bad_input) naming the key where a metric lacks what it needs, where tune.direction contradicts it, and
/// where a key was given that none of the metrics reads.
void check_metrics(const RunConfig& config);

}  // namespace finetune
