#include "host/forecast.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "config/metric_rules.h"
#include "core/text.h"
#include "engine/estimate.h"
#include "engine/schedule.h"
#include "tuners/registry.h"

namespace finetune {
namespace {

constexpr double kLong = 3600;  // seconds

// Validations of a trial that runs to its end: those asked for, the last one, and the looks of a scheduler, which are
// at most one every tenth of the budget.
Evaluations evaluations(const RunConfig& config) {
  const std::int64_t steps = last_step(config.train);
  std::int64_t count = 1;
  if (config.run.eval_every > 0) count += steps / config.run.eval_every;
  if (config.tune.scheduler && config.tune.scheduler->name != "none") count += std::min<std::int64_t>(steps, 9);
  count = std::min(count, steps);
  return {.losses = count, .tasks = tasks_at_rungs(config) ? count : 1};
}

// What validation takes of it, where that is much.
std::string evaluation_text(const Forecast& f) {
  if (f.evaluation_seconds < f.seconds / 4) return "";
  return fmt::format("; evaluations take {:.0f} % of it", 100 * f.evaluation_seconds / f.seconds);
}

std::string time_text(const Forecast& f) {
  if (f.is_single)
    return fmt::format("{} {}steps of about {}: about {}{}", std::lround(f.trials * static_cast<double>(f.steps)),
                       f.is_rest ? "more " : "", duration_text(f.round_seconds), duration_text(f.seconds),
                       evaluation_text(f));
  return fmt::format(
      "{} trials of {} steps, {} side by side: a round takes about {}, all of them to the end {} at most{}{}",
      f.is_rest ? fmt::format("left: {:.1f} of {}", f.trials, f.all_trials) : fmt::format("{}", f.all_trials), f.steps,
      f.resident, duration_text(f.round_seconds), duration_text(f.seconds), evaluation_text(f),
      f.stops ? "; stopping may save much of it" : "");
}

// Present and best state of every trial: what a save has at most.
std::int64_t save_bytes(const Session& session, std::int64_t trials) {
  if (session.config.run.save_every == 0) return 0;
  std::int64_t bytes = 0;
  for (const MemoryNeed& need : memory_needs(session, trials)) bytes += need.estimate.images;
  return bytes;
}

std::string need_text(const MemoryNeed& need, bool name_device) {
  const auto mib = [](std::int64_t bytes) { return static_cast<double>(bytes) / (1 << 20); };
  const MemoryEstimate& memory = need.estimate;
  return fmt::format(
      "memory{} about {:.0f} MiB: base {:.0f}, trials {:.0f}, kept states {:.0f}, activations {:.0f}{}, program {:.0f}",
      name_device ? " on " + need.share.device.str() : "", mib(memory.total()), mib(memory.base), mib(memory.slots),
      mib(memory.images), mib(memory.activations),
      memory.caches > 0 ? fmt::format(", evaluation {:.0f}", mib(memory.caches)) : "", mib(memory.program));
}

}  // namespace

static void add_times(Forecast& forecast, const Session& session, const LaneCosts& costs, bool baselines,
                      bool is_rest) {
  const auto seconds = [&](const Evaluations& evaluated, bool with_baselines) {
    return run_seconds(session, costs, forecast.trials, forecast.resident, evaluated, with_baselines);
  };
  const Evaluations all = evaluations(session.config);
  forecast.is_timed = true;
  forecast.round_seconds = round_seconds(session, costs, forecast.resident);
  forecast.evaluation_seconds = seconds(all, false) - seconds({}, false);
  forecast.reference_seconds = is_rest ? 0 : reference_seconds(session, costs);
  forecast.seconds = seconds(all, baselines) + forecast.reference_seconds;
}

Forecast make_forecast(const Session& session, const std::optional<LaneCosts>& costs, std::int64_t resident,
                       bool baselines, const std::optional<WorkLeft>& left) {
  const RunConfig& config = session.config;
  Forecast forecast{.trials = left ? left->trials : static_cast<double>(config.tune.trials),
                    .all_trials = config.tune.trials,
                    .steps = last_step(config.train),
                    .is_single = config.tune.trials == 1,
                    .is_rest = left.has_value(),
                    .resident = resident,
                    .asks_all_rows = !config.tune.eval_share && takes_one_pass(metric_named(config.tune.metric)),
                    .stops = config.tune.scheduler && !stops_none(config.tune.scheduler->name),
                    .memory = memory_needs(session, resident + (baselines ? 1 : 0)),
                    .save_bytes = save_bytes(session, resident + (baselines ? 1 : 0))};
  if (costs) add_times(forecast, session, *costs, left ? left->baselines : baselines, forecast.is_rest);
  return forecast;
}

std::vector<std::string> forecast_lines(const Forecast& f) {
  std::vector<std::string> lines;
  if (f.is_timed) lines.push_back(time_text(f));
  if (f.reference_seconds > 0)
    lines.push_back(
        fmt::format("before the first step the model as it starts goes over all answers, once for all trials: about {}",
                    duration_text(f.reference_seconds)));
  for (const MemoryNeed& need : f.memory) lines.push_back(need_text(need, f.memory.size() > 1));
  if (f.save_bytes > 0)
    lines.push_back(fmt::format("saves for resume of up to {:.0f} MiB, two of them on disk at most",
                                static_cast<double>(f.save_bytes) / (1 << 20)));
  else
    lines.emplace_back("run.save_every is 0: nothing is saved, so what is cut off cannot go on");
  if (f.is_rest) return lines;  // it takes no settings
  if (f.asks_all_rows && f.evaluation_seconds > f.seconds / 2)
    lines.emplace_back(
        "most of it is evaluation: --set tune.eval_share=0.2 asks fewer validation rows, the same for all");
  if (f.seconds > kLong && f.is_single)
    lines.emplace_back("shorter: fewer --steps, a smaller train.batch_size or data.max_length");
  else if (f.seconds > kLong)
    lines.emplace_back(
        "shorter: --set tune.budget.seconds=3600 ends it after an hour with the best so far; fewer --steps "
        "or --trials, a smaller train.batch_size or data.max_length");
  return lines;
}

std::int64_t memory_bytes(const Forecast& f) {
  std::int64_t bytes = 0;
  for (const MemoryNeed& need : f.memory) bytes += need.estimate.total();
  return bytes;
}

nlohmann::ordered_json memory_parts(const Forecast& f) {
  auto parts = nlohmann::ordered_json::array();
  for (const MemoryNeed& need : f.memory) {
    const MemoryEstimate& memory = need.estimate;
    parts.push_back({{"device", need.share.device.str()},
                     {"base", memory.base},
                     {"trials", memory.slots},
                     {"kept_states", memory.images},
                     {"activations", memory.activations},
                     {"evaluation", memory.caches},
                     {"program", memory.program}});
  }
  return parts;
}

}  // namespace finetune
