#include "cli/tuner_setup.h"

#include <algorithm>

#include "config/params.h"
#include "core/error.h"
#include "tuners/registry.h"

namespace finetune {

void choose_defaults(RunConfig& config) {
  TuneConfig& tune = config.tune;
  if (tune.method && *tune.method != "auto" && *tune.method != "random+asha") {
    throw bad_input("", "tune.method is " + *tune.method + "; allowed: auto, random+asha");
  }
  // LoRA's best rates lie about ten times above full fine-tuning's; alpha stays twice the rank, so that changing the
  // rank does not change the scale too.
  if (config.search.empty()) {
    const bool full = config.train.method == "full";
    config.search.push_back(
        {.name = "train.learning_rate", .low = full ? 2e-6 : 2e-5, .high = full ? 2e-4 : 2e-3, .log = true});
    if (!full && !config.model.adapter && !config.is_given("train.lora.rank")) {
      config.search.push_back(
          {.name = "train.lora.rank", .choices = {std::int64_t{8}, std::int64_t{16}, std::int64_t{32}}});
      if (!config.is_given("train.lora.alpha") && !config.train.lora.alpha_over_rank)
        config.train.lora.alpha_over_rank = 2;
    }
    resolve_alpha(config.train.lora);
  }
  if (!tune.sampler) tune.sampler = TunerPart{.name = "random"};
  if (!tune.scheduler) tune.scheduler = TunerPart{.name = "asha"};
  tune.method.reset();
}

SearchSpace search_space(const RunConfig& config) {
  SearchSpace space;
  for (const auto& p : config.search) {
    space.parameters.push_back({.name = p.name,
                                .choices = p.choices,
                                .low = p.low,
                                .high = p.high,
                                .log = p.log,
                                .integer = p.integer,
                                .step = p.step,
                                .when = p.when});
  }
  return space;
}

std::unique_ptr<Tuner> make_tuner(const RunConfig& config, std::optional<std::int64_t> concurrent, bool asktell) {
  TunerOptions options;
  options.trials = config.tune.trials;
  options.max_steps = asktell ? config.tune.steps : config.train.stop_at.value_or(config.train.steps);
  options.concurrent = concurrent;
  options.budget_steps = config.tune.budget.steps;
  options.direction = config.tune.direction;
  options.seed = static_cast<std::uint64_t>(config.tune.seed);
  options.default_min_steps = asktell ? 1 : std::max<std::int64_t>(1, options.max_steps / 10);
  if (!asktell) options.may_change = may_change_during_training;
  const SearchSpace space = search_space(config);
  auto sampler =
      make_sampler(config.tune.sampler->name, {config.tune.sampler->options, space, options.seed, config.tune.enqueue});
  auto scheduler = make_scheduler(config.tune.scheduler->name, {config.tune.scheduler->options, space, options});
  return std::make_unique<Tuner>(std::move(options), std::move(sampler), std::move(scheduler));
}

}  // namespace finetune
