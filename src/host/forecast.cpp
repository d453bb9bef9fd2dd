#include "host/forecast.h"

#include <fmt/format.h>

#include "core/text.h"
#include "engine/estimate.h"
#include "engine/schedule.h"

namespace finetune {
namespace {

// Validations of a trial that runs to its end: those asked for, the last one, and the looks of a scheduler, which are
// at most one every tenth of the budget.
std::int64_t evaluations(const RunConfig& config) {
  const std::int64_t steps = last_step(config.train);
  std::int64_t count = 1;
  if (config.run.eval_every > 0) count += steps / config.run.eval_every;
  if (config.tune.scheduler && config.tune.scheduler->name != "none") count += std::min<std::int64_t>(steps, 9);
  return std::min(count, steps);
}

}  // namespace

Forecast make_forecast(const Session& session, const LaneCosts& costs, std::int64_t resident, bool baselines) {
  const RunConfig& config = session.config;
  return {.trials = config.tune.trials,
          .steps = last_step(config.train),
          .resident = resident,
          .round_seconds = round_seconds(session, costs, resident),
          .seconds = run_seconds(session, costs, config.tune.trials, resident, evaluations(config), baselines),
          .memory = session_memory(session, resident + (baselines ? 1 : 0))};
}

std::string time_text(const Forecast& f) {
  if (f.trials == 1)
    return fmt::format("{} steps of about {}: about {}", f.steps, duration_text(f.round_seconds),
                       duration_text(f.seconds));
  return fmt::format(
      "{} trials of {} steps, {} side by side: a round takes about {}, all of them to the end {} at most", f.trials,
      f.steps, f.resident, duration_text(f.round_seconds), duration_text(f.seconds));
}

std::string memory_text(const Forecast& f) {
  const auto mib = [](std::int64_t bytes) { return static_cast<double>(bytes) / (1 << 20); };
  return fmt::format(
      "memory about {:.0f} MiB: base {:.0f}, trials {:.0f}, kept states {:.0f}, activations {:.0f}, program {:.0f}",
      mib(f.memory.total()), mib(f.memory.base), mib(f.memory.slots), mib(f.memory.images), mib(f.memory.activations),
      mib(f.memory.program));
}

}  // namespace finetune
