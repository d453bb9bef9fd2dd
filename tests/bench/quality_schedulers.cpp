// How well schedulers choose and what they spend, on simulated curves. Run by hand:
//
//     quality_schedulers [--json] [--seeds N] [--first-seed N] [--sampler NAME] [--start good|bad] [--functions a,b]
//                        SETTING SCHEDULER...
//     quality_schedulers --seeds 40 steps median asha:min_steps=1,reduction_factor=4
//
// Settings: `steps`, eight trials side by side and the steps of 20 full-length runs; `trials`, eight side by side and
// 100 trials; `sequential`, one after the other, 4000 steps; `populations`, 2 to 16 members. Regret: median over seeds
// of the noise-free regret of the trial that the tuner calls best, after half and after all of the steps; trials and
// steps are means. --start: the user's guess, which the first trial has (support/starts.h). With --json one object a
// row, seed by seed.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string>
#include <vector>

#include "support/entry.h"
#include "support/simulate.h"

namespace finetune::testing {
namespace {

struct Settings {
  bool json = false;
  std::uint64_t seeds = 20, first_seed = 0;
  std::string sampler = "random", start, what = "steps";
  std::vector<std::string> functions;
  std::vector<Entry> schedulers;
};

double mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

nlohmann::ordered_json finite(const std::vector<double>& values) {
  auto json = nlohmann::ordered_json::array();
  for (const double value : values) json.push_back(std::isfinite(value) ? nlohmann::ordered_json(value) : nullptr);
  return json;
}

void measure(const CurveProblem& problem, const Entry& entry, SimulatedStudy study, const Settings& settings) {
  const Entry sampler = parse_entry(settings.sampler);
  study.sampler = sampler.name;
  study.sampler_options = sampler.options;
  study.scheduler = entry.name;
  study.scheduler_options = entry.options;
  const std::string shown_sampler = with_start(settings.sampler, settings.start);
  std::vector<double> half, whole, trials, steps;
  for (std::uint64_t i = 0; i < settings.seeds; ++i) {
    study.seed = settings.first_seed + i;
    study.start = start_of(problem.space, problem.value, settings.start, study.seed);
    const SimulatedResult result = simulate(problem, study);
    half.push_back(result.half_regret);
    whole.push_back(result.regret);
    trials.push_back(static_cast<double>(result.trials));
    steps.push_back(static_cast<double>(result.steps));
  }
  if (settings.json) {
    const nlohmann::ordered_json row{
        {"program", "finetune_tune"}, {"setting", settings.what}, {"function", problem.name},
        {"sampler", shown_sampler},   {"scheduler", entry.text},  {"half", finite(half)},
        {"regret", finite(whole)},    {"trials", trials},         {"steps", steps}};
    fmt::print("{}\n", row.dump());
    return;
  }
  fmt::print("| {} | {} | {} | {:.3g} | {:.3g} | {:.0f} | {:.0f} |\n", problem.name, shown_sampler, entry.text,
             median(half), median(whole), mean(trials), mean(steps));
}

std::vector<Entry> entries(const std::vector<std::string>& texts) {
  std::vector<Entry> entries;
  for (const auto& text : texts) entries.push_back(parse_entry(text));
  return entries;
}

// A loss above which a run is hopeless after a fifth of its steps.
std::string threshold_for(const CurveProblem& problem) {
  const std::string upper = problem.name == "lora" ? "2.3" : problem.name == "curve-power" ? "1.0" : "-0.2";
  return "threshold:upper=" + upper + ",warmup_steps=" + std::to_string(problem.steps / 5);
}

std::vector<Entry> halvings(const CurveProblem& problem) {
  return entries({"none", "median", "percentile:percentile=25", "patient", threshold_for(problem), "wilcoxon",
                  "early_exit", "asha:min_steps=1,reduction_factor=4", "asha:min_steps=1",
                  "asha_promotion:min_steps=1,reduction_factor=4", "asha_promotion:min_steps=1", "pasha:min_steps=1",
                  "hyperband:min_steps=1", "hyperband:min_steps=1,guard=false", "sync_hyperband:min_steps=1", "cut",
                  "cut:share=0.1", "cut:share=0.05"});
}

bool is_wanted(const Settings& settings, const std::string& function) {
  const auto& wanted = settings.functions;
  return wanted.empty() || std::find(wanted.begin(), wanted.end(), function) != wanted.end();
}

// Those measured unless others are named; the last four only by name.
std::vector<CurveProblem> problems_for(const Settings& settings) {
  std::vector<CurveProblem> problems{curves::mfh(3, "good"),     curves::mfh(3, "terrible"), curves::mfh(6, "good"),
                                     curves::mfh(6, "terrible"), curves::curve_power(),      curves::lora()};
  if (settings.functions.empty()) return problems;
  for (const std::size_t dimensions : {3, 6}) {
    for (const char* quality : {"moderate", "bad"}) problems.push_back(curves::mfh(dimensions, quality));
  }
  return problems;
}

void stopping(const Settings& settings) {
  for (const auto& problem : problems_for(settings)) {
    if (!is_wanted(settings, problem.name)) continue;
    SimulatedStudy study{.concurrent = 8, .steps = 20 * problem.steps};
    if (settings.what == "trials") study = {.trials = 100, .concurrent = 8, .steps = 100 * problem.steps};
    if (settings.what == "sequential") study = {.concurrent = 1, .steps = 4000};
    for (const auto& entry : settings.schedulers.empty() ? halvings(problem) : settings.schedulers)
      measure(problem, entry, study, settings);
  }
}

// A population beside the best of its own members' first settings, kept to the end ("none").
void populations(const Settings& settings) {
  for (const auto& problem : {curves::pbt_toy(), curves::drift()}) {
    if (!is_wanted(settings, problem.name)) continue;
    for (const std::int64_t members : {2, 4, 8, 16}) {
      for (const auto& entry : entries({"none", "pbt", "pbt:exploit=tournament", "pb2"}))
        measure(problem, entry, {.trials = members, .concurrent = members, .steps = members * problem.steps}, settings);
    }
  }
}

void run(const Settings& settings) {
  if (!settings.json)
    fmt::print(
        "| function | sampler | scheduler | regret, half | regret | trials | steps |\n|---|---|---|---|---|---|---|\n");
  if (settings.what == "populations")
    populations(settings);
  else
    stopping(settings);
}

}  // namespace
}  // namespace finetune::testing

int main(int count, char** arguments) {
  finetune::testing::Settings settings;
  std::vector<std::string> schedulers;
  CLI::App app{"Regret of schedulers on simulated curves"};
  app.add_flag("--json", settings.json, "one object a row");
  app.add_option("--seeds", settings.seeds, "how many");
  app.add_option("--first-seed", settings.first_seed, "the first of them");
  app.add_option("--sampler", settings.sampler, "NAME[:option=value,...]");
  app.add_option("--start", settings.start, "of the searched parameters")->check(CLI::IsMember({"good", "bad"}));
  app.add_option("--functions", settings.functions, "some of the curves")->delimiter(',')->allow_extra_args(false);
  app.add_option("setting", settings.what, "what is held equal")
      ->required()
      ->check(CLI::IsMember({"steps", "trials", "sequential", "populations"}));
  app.add_option("schedulers", schedulers, "NAME[:option=value,...]");
  CLI11_PARSE(app, count, arguments);
  try {
    settings.schedulers = finetune::testing::entries(schedulers);
    finetune::testing::run(settings);
  } catch (const std::exception& error) {
    fmt::print(stderr, "quality_schedulers: {}\n", error.what());
    return 2;
  }
}
