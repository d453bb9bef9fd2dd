#include "cli/study_setup.h"

#include <fmt/format.h>

#include <utility>

#include "core/text.h"
#include "engine/devices.h"

namespace finetune {

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

StudyOptions study_options(const Session& session, const RunConfig& config, std::int64_t resident,
                           Clock::time_point started, std::function<bool()> stop) {
  StudyOptions options;
  options.configure = [&config](const Params& params) { return configure_trial(config, params); };
  options.metric = config.tune.metric;
  options.direction = config.tune.direction;
  options.eval_every = config.run.eval_every;
  options.concurrent = resident;
  options.lag = session.devices.front().is_cpu() ? 0 : 1;
  options.budget = config.tune.budget;
  options.stop = [budget = config.tune.budget.seconds, started, stop = std::move(stop)] {
    return (stop && stop()) || (budget && seconds_since(started) >= *budget);
  };
  return options;
}

std::string describe_session(const Session& session) {
  const RunConfig& config = session.config;
  std::string text =
      fmt::format("{}: {} layers, width {}, {} parameters; {}\n", config.model.path, session.model.options.layers,
                  session.model.options.width, with_commas(base_parameters(session.model.options)),
                  describe_device(session.devices.front()));
  text += fmt::format("train {} examples ({}), valid {} examples ({})\n",
                      with_commas(static_cast<long long>(session.train.examples.size())), session.train.format,
                      with_commas(static_cast<long long>(session.valid.examples.size())), session.valid_source);
  for (const auto& note : session.notes) text += note + "\n";
  return text;
}

}  // namespace finetune
