#include "host/tuner_setup.h"

#include <algorithm>

#include "config/params.h"
#include "core/error.h"
#include "core/number.h"
#include "core/text.h"
#include "core/usual_rates.h"
#include "host/start_trial.h"
#include "tuners/method.h"
#include "tuners/registry.h"
#include "tuners/samplers/enqueued.h"

namespace finetune {

namespace {

std::int64_t budget_per_trial(const RunConfig& config, bool asktell) {
  return asktell ? config.tune.steps : config.train.stop_at.value_or(config.train.steps);
}

// The rate at a step of index t = step - 1 below W is t / W of its full one, so the first step of a warm-up moves
// nothing: after it every trial is still the model it began with. A searched ratio counts by the largest W it may give.
std::int64_t first_look(const RunConfig& config, bool asktell) {
  if (asktell) return 1;
  double ratio = config.train.warmup_ratio;
  for (const SearchParameter& searched : config.search) {
    if (searched.name != "train.warmup_ratio") continue;
    ratio = std::max(ratio, searched.high);
    for (const Value& choice : searched.choices) ratio = std::max(ratio, as_number(choice));
  }
  return ratio > 0 ? std::min<std::int64_t>(2, budget_per_trial(config, asktell)) : 1;
}

std::int64_t first_rung(const RunConfig& config, bool asktell) {
  return asktell ? 1 : std::max(first_look(config, asktell), budget_per_trial(config, asktell) / 10);
}

MethodFacts method_facts(const RunConfig& config, const MethodContext& context) {
  const SearchSpace space = search_space(config);
  const std::int64_t steps = budget_per_trial(config, context.asktell);
  MethodFacts facts{.cells = count_cells(space),
                    .parameters = static_cast<std::int64_t>(space.parameters.size()),
                    .trials = config.tune.trials,
                    .full_trials = static_cast<double>(config.tune.trials),
                    .side_by_side = context.side_by_side.value_or(config.tune.concurrent.value_or(config.tune.trials)),
                    .steps = steps};
  if (!config.tune.warm_start.empty()) facts.past = context.past_trials;
  if (const auto budget = config.tune.budget.steps)
    facts.full_trials = std::min(facts.full_trials, static_cast<double>(*budget) / static_cast<double>(steps));
  // Outside programs may not be able to copy weights, so there auto never asks for it.
  facts.all_may_change =
      !context.asktell && std::all_of(space.parameters.begin(), space.parameters.end(),
                                      [](const auto& p) { return may_change_during_training(p.name); });
  return facts;
}

// What `start` says comes before tune.enqueue, which is checked first so that messages count its entries from 0.
std::vector<Params> first_trials(const RunConfig& config, const SearchSpace& space, bool asktell) {
  std::vector<Params> list = checked_enqueue(space, config.tune.enqueue);
  if (auto start = start_trial(config, space, asktell)) list.insert(list.begin(), std::move(*start));
  return list;
}

void use_method(TuneConfig& tune, const Method& method) {
  tune.sampler = TunerPart{.name = method.sampler};
  tune.scheduler = TunerPart{.name = method.scheduler};
}

void resolve_method(RunConfig& config, const MethodContext& context) {
  TuneConfig& tune = config.tune;
  if (!tune.method && !tune.sampler && !tune.scheduler) tune.method = "auto";
  if (!tune.method) return;
  tune.method_is_auto = *tune.method == "auto";
  use_method(tune,
             tune.method_is_auto ? choose_method(method_facts(config, context)).method : method_by_name(*tune.method));
  tune.method.reset();
}

TunerOptions tuner_options(const RunConfig& config, std::optional<std::int64_t> concurrent, bool asktell) {
  TunerOptions options;
  options.trials = config.tune.trials;
  options.max_steps = budget_per_trial(config, asktell);
  options.concurrent = concurrent;
  options.budget_steps = config.tune.budget.steps;
  options.target = config.tune.budget.target;
  options.patience = config.tune.budget.patience;
  options.direction = config.tune.direction;
  options.seed = static_cast<std::uint64_t>(config.tune.seed);
  options.first_look = first_look(config, asktell);
  options.default_min_steps = first_rung(config, asktell);
  options.default_guard = !asktell;  // there schedulers are the published rules to the letter
  if (!asktell) options.may_change = may_change_during_training;
  return options;
}

void refuse_deaf_sampler(const TuneConfig& tune) {
  const std::vector<std::string> learning = learning_samplers();
  if (tune.warm_start.empty() || std::ranges::count(learning, tune.sampler->name) > 0) return;
  if (std::ranges::count(sampler_names(), tune.sampler->name) == 0) return;  // make_sampler says so
  throw bad_input("", "tune.warm_start: sampler " + tune.sampler->name +
                          " does not look at the past; those that do: " + join(learning, ", "));
}

}  // namespace

void choose_defaults(RunConfig& config, const MethodContext& context) {
  TuneConfig& tune = config.tune;
  // Alpha stays twice the rank, so that changing the rank does not change the scale too.
  if (config.search.empty() && !context.asktell) {
    const bool full = config.train.full();
    const UsualRates rates = usual_rates(full, config.train.objective != ObjectiveName::sft);
    config.search.push_back({.name = "train.learning_rate", .low = rates.low, .high = rates.high, .log = true});
    if (!full && !config.model.adapter && !config.is_given("train.lora.rank")) {
      config.search.push_back(
          {.name = "train.lora.rank", .choices = {std::int64_t{8}, std::int64_t{16}, std::int64_t{32}}});
      if (!config.is_given("train.lora.alpha") && !config.train.lora.alpha_over_rank)
        config.train.lora.alpha_over_rank = 2;
    }
    resolve_alpha(config.train.lora);
  }
  resolve_method(config, context);
  // Beside a scheduler alone stands a sampler that uses what it is given.
  if (!tune.sampler) tune.sampler = TunerPart{.name = tune.warm_start.empty() ? "random" : "tpe"};
  if (!tune.scheduler) tune.scheduler = TunerPart{.name = "asha"};
}

std::string describe_search(const RunConfig& config) {
  std::vector<std::string> searched;
  std::string given;
  for (const auto& p : config.search) {
    std::vector<std::string> choices;
    for (const auto& choice : p.choices) choices.push_back(to_text(choice));
    searched.push_back(p.name + (choices.empty() ? " from " + number_to_text(p.low) + " to " + number_to_text(p.high)
                                                 : " among " + join(choices, ", ")));
    if (config.is_given(p.name)) given += "; the " + p.name + " given is the default configuration's";
  }
  return "searched: " + join(searched, "; ") + given;
}

std::optional<std::string> settle_method(RunConfig& config, const MethodContext& context) {
  if (!config.tune.method_is_auto) return std::nullopt;
  const MethodFacts facts = method_facts(config, context);
  const MethodChoice choice = choose_method(facts);
  use_method(config.tune, choice.method);
  return describe(choice, facts, first_rung(config, context.asktell));
}

std::unique_ptr<Tuner> make_tuner(const RunConfig& config, std::optional<std::int64_t> concurrent, bool asktell,
                                  const PastTrials& past) {
  refuse_deaf_sampler(config.tune);
  TunerOptions options = tuner_options(config, concurrent, asktell);
  const SearchSpace space = search_space(config);
  auto sampler =
      make_sampler(config.tune.sampler->name,
                   {config.tune.sampler->options, space, options.seed, first_trials(config, space, asktell),
                    start_values(config, space), past_records(past.studies, options.direction, options.max_steps)});
  auto scheduler = make_scheduler(config.tune.scheduler->name, {config.tune.scheduler->options, space, options});
  return std::make_unique<Tuner>(std::move(options), std::move(sampler), std::move(scheduler));
}

std::optional<std::string> describe_first_look(const RunConfig& config) {
  TunerOptions options = tuner_options(config, std::nullopt, false);
  const auto first_rung_with = [&](std::int64_t first_look) -> std::optional<std::int64_t> {
    options.first_look = first_look;
    const auto& [name, given] = *config.tune.scheduler;
    const Looks looks = make_scheduler(name, {given, search_space(config), options})->looks();
    return looks.rungs.empty() ? std::nullopt : std::optional(looks.rungs.front());
  };
  const std::int64_t look = options.first_look;
  const auto asked = first_rung_with(1), got = first_rung_with(look);
  if (asked == got || !got) return std::nullopt;
  return "tune.scheduler: the first rung is step " + std::to_string(*got) + ", not " + std::to_string(*asked) +
         ": the first step of the warm-up has rate 0, so until step " + std::to_string(look) +
         " every trial is the same model";
}

}  // namespace finetune
