#include "tuners/method.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "core/error.h"
#include "core/number.h"
#include "core/text.h"
#include "tuners/registry.h"
#include "tuners/schedulers/rungs.h"

namespace finetune {
namespace {

struct Named {
  const char* name;
  Method method;
};

const Named kNamed[] = {{"bohb", {"tpe", "sync_hyperband"}},
                        {"mobster", {"gp", "asha"}},
                        {"optuna", {"tpe", "median"}},
                        {"optuna_hyperband", {"tpe", "hyperband"}}};

constexpr std::int64_t kMinPopulation = 8, kMinPopulationSteps = 60;  // pbt acts every 10 steps, not at the last
constexpr std::int64_t kMinModelTrials = 12;  // model-based samplers start with about ten random ones
constexpr std::int64_t kMinGenerations = 3;   // one to start from and two to use what was learned
constexpr std::int64_t kMostGpTrials = 100, kMostGpParameters = 20;
constexpr std::int64_t kEta = 3;

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::string count_of(std::int64_t n, const std::string& what) {
  return std::to_string(n) + " " + what + (n == 1 ? "" : "s");
}

bool fits_population(const MethodFacts& facts) {
  return facts.all_may_change && facts.trials >= kMinPopulation && facts.trials <= facts.side_by_side &&
         facts.full_trials >= static_cast<double>(facts.trials) && facts.steps >= kMinPopulationSteps;
}

// Steps of a halving over these rungs: everyone to the first, a share of 1 / eta on from each.
double halving_steps(double trials, std::span<const std::int64_t> rungs, std::int64_t steps, std::int64_t eta) {
  double total = 0, alive = trials;
  std::int64_t from = 0;
  for (const std::int64_t rung : rungs) {
    total += alive * static_cast<double>(rung - from);
    alive = std::max(std::min(alive, 1.0), alive / static_cast<double>(eta));
    from = rung;
  }
  return total + alive * static_cast<double>(steps - from);
}

// The brackets of Li et al. (JMLR 2018) in turn: bracket s has its first rung at min_steps x eta^(s_max - s) and takes
// part of the trials in proportion to its size.
double hyperband_steps(double trials, std::span<const std::int64_t> rungs, std::int64_t steps, std::int64_t eta) {
  // Rungs lie below the budget; min_steps x eta^s_max may equal it.
  const bool meets_budget = rungs.empty() || rungs.back() * eta == steps;
  const auto s_max = static_cast<std::int64_t>(rungs.size()) - (meets_budget ? 0 : 1);
  double sizes = 0, total = 0;
  for (std::int64_t s = 0; s <= s_max; ++s) {
    const double size = std::ceil(static_cast<double>(s_max + 1) * std::pow(eta, s) / static_cast<double>(s + 1));
    sizes += size;
    total += halving_steps(size, rungs.subspan(static_cast<std::size_t>(s_max - s)), steps, eta);
  }
  return total / sizes * trials;
}

// Rules 1 to 3.
std::optional<MethodChoice> choose_without_model(const MethodFacts& facts) {
  const std::string no_stop = "none", trials = count_of(facts.trials, "trial");
  if (facts.cells &&
      static_cast<double>(*facts.cells) <= std::min(static_cast<double>(facts.trials), facts.full_trials))
    return MethodChoice{{"grid", no_stop},
                        "the space has " + count_of(*facts.cells, "cell") + ", and the budget covers them all"};
  if (fits_population(facts))
    return MethodChoice{
        {"random", "pbt"},
        trials + " train side by side as one population, and all that is searched may change in training"};
  const bool stoppable = facts.steps > 1;
  if (facts.trials < kMinModelTrials)
    return MethodChoice{{"sobol", stoppable ? "asha" : no_stop},
                        trials + (facts.trials == 1 ? " is" : " are") + " too few for a model to learn from"};
  if (stoppable && facts.trials < kMinGenerations * facts.side_by_side)
    return MethodChoice{{"sobol", "asha"},
                        std::to_string(facts.side_by_side) + " of " + trials +
                            " run side by side: most start before a model could have learned"};
  return std::nullopt;
}

}  // namespace

Method method_by_name(const std::string& name) {
  for (const auto& named : kNamed) {
    if (name == named.name) return named.method;
  }
  if (const auto plus = name.find('+'); plus != std::string::npos) {
    const Method method{std::string(trim(name.substr(0, plus))), std::string(trim(name.substr(plus + 1)))};
    if (!method.sampler.empty() && !method.scheduler.empty()) return method;
  }
  if (contains(sampler_names(), name)) return {name, "none"};
  if (contains(scheduler_names(), name)) return {"random", name};
  std::vector<std::string> allowed{"auto"};
  for (const auto& named : kNamed) allowed.emplace_back(named.name);
  const std::string near = did_you_mean(name, allowed);
  throw bad_input("", "tune.method is " + name + near + "; allowed: " + join(allowed, ", ") +
                          ", SAMPLER+SCHEDULER, a sampler (" + join(sampler_names(), ", ") + ") or a scheduler (" +
                          join(scheduler_names(), ", ") + ")");
}

MethodChoice choose_method(const MethodFacts& facts) {
  if (!facts.past) {
    if (auto choice = choose_without_model(facts)) return *std::move(choice);
  }
  const std::int64_t seen = facts.trials + facts.past.value_or(0);
  const bool small = seen <= kMostGpTrials && facts.parameters <= kMostGpParameters;
  const std::string before = facts.past ? count_of(*facts.past, "past trial") + ", " : "";
  return {{small ? "gp" : "tpe", facts.steps > 1 ? "hyperband" : "none"},
          before + count_of(facts.trials, "trial") + " in turns of " + std::to_string(facts.side_by_side) + ", " +
              count_of(facts.parameters, "parameter") + ": a model of what was seen pays" +
              (small ? "" : ", and there is too much of it for a Gaussian process")};
}

std::optional<std::int64_t> count_cells(const SearchSpace& space) {
  std::int64_t cells = 1;
  for (const auto& parameter : space.parameters) {
    const auto count = parameter.count();
    if (!count || cells > std::int64_t{1'000'000'000} / std::max<std::int64_t>(1, *count)) return std::nullopt;
    cells *= *count;
  }
  return cells;
}

double expected_steps(const std::string& scheduler, std::int64_t trials, std::int64_t steps, std::int64_t min_steps,
                      std::int64_t eta) {
  const auto rungs = rung_steps(min_steps, eta, steps);
  const auto n = static_cast<double>(trials);
  if (contains({"asha", "asha_promotion", "pasha"}, scheduler)) return halving_steps(n, rungs, steps, eta);
  if (contains({"hyperband", "sync_hyperband"}, scheduler)) return hyperband_steps(n, rungs, steps, eta);
  return n * static_cast<double>(steps);
}

std::string describe(const MethodChoice& choice, const MethodFacts& facts, std::int64_t min_steps) {
  // A grid ends when its cells are used up.
  const std::int64_t trials = choice.method.sampler == "grid" ? *facts.cells : facts.trials;
  const double steps = expected_steps(choice.method.scheduler, trials, facts.steps, min_steps, kEta);
  const double full = steps / static_cast<double>(facts.steps);
  return choice.method.sampler + " + " + choice.method.scheduler + ": " + choice.why + "; about " +
         number_to_text(std::round(full * 10) / 10) + " of " + count_of(trials, "full-length trial") + " (" +
         std::to_string(std::llround(steps)) + " of " + std::to_string(trials * facts.steps) + " steps)";
}

}  // namespace finetune
