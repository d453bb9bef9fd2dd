// How well samplers search: the median regret on black boxes after 20, 30, 50, 60 and 100 trials, one after the other.
//
//     quality_samplers [--json] [--seeds N] [--first-seed N] [--trials N] [--start good|bad] [--functions a,b]
//                      SAMPLER[:option=value,...]
//     ... quality_samplers --seeds 30 tpe tpe:mode=optuna4 random
//
// Regret is the best value so far less the known minimum. `ratio` is the geometric mean over the functions of the
// median after 30, 60 and 100 trials over that of the first sampler named. With --json one object a row instead, seed
// by seed, with the mean seconds of one ask. --start: the user's guess, which the first trial has (support/starts.h).
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <map>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/text.h"
#include "support/entry.h"
#include "support/objectives.h"
#include "support/starts.h"
#include "tuners/registry.h"

namespace finetune::testing {
namespace {

struct Settings {
  bool json = false;
  std::uint64_t seeds = 20, first_seed = 0;
  std::size_t trials = 100;
  std::string start;  ///< the user's guess, which the first trial has
  std::vector<std::string> functions, samplers;
};

const std::vector<std::size_t> kColumns{20, 30, 50, 60, 100};
using Medians = std::map<std::size_t, double>;  // trials -> median regret

std::unique_ptr<Sampler> sampler_from(const std::string& text, const Objective& objective, const std::string& kind,
                                      std::uint64_t seed) {
  const Entry entry = parse_entry(text);
  const Params start = start_of(objective.space, objective.value, kind, seed);
  return make_sampler(entry.name, {entry.options, objective.space, seed, first_trials(start), start});
}

std::vector<double> regrets(const Objective& objective, const std::string& sampler_text, const std::string& start,
                            std::uint64_t seed, std::size_t count) {
  const auto sampler = sampler_from(sampler_text, objective, start, seed);
  std::vector<TrialRecord> trials;
  std::vector<double> best;
  while (trials.size() < count) {
    const TrialId id{static_cast<std::int64_t>(trials.size())};
    const auto params = sampler->suggest(id, trials);
    if (!params) break;
    const double value = objective.value(*params);
    trials.push_back({.id = id, .params = *params, .state = TrialState::completed, .values = {{1, value}}, .step = 1});
    best.push_back(std::min(best.empty() ? value : best.back(), value));
  }
  for (double& value : best) value -= objective.minimum;
  return best;
}

using Columns = std::map<std::size_t, std::vector<double>>;  // trials -> regret of each seed

Columns columns_of(const Objective& objective, const std::string& sampler, const Settings& settings) {
  Columns columns;
  for (std::uint64_t i = 0; i < settings.seeds; ++i) {
    const auto best = regrets(objective, sampler, settings.start, settings.first_seed + i, settings.trials);
    for (const std::size_t count : kColumns) {
      if (count <= best.size()) columns[count].push_back(best[count - 1]);
    }
  }
  return columns;
}

void print_json(const Objective& objective, const std::string& sampler, const Columns& columns, double seconds) {
  auto regret = nlohmann::ordered_json::object();
  for (const auto& [count, values] : columns) regret[std::to_string(count)] = values;
  const nlohmann::ordered_json row{{"program", "finetune_tune"},
                                   {"function", objective.name},
                                   {"sampler", sampler},
                                   {"regret", regret},
                                   {"ask_seconds", seconds}};
  fmt::print("{}\n", row.dump());
}

Medians medians(const Columns& columns) {
  Medians result;
  for (const auto& [count, values] : columns) result[count] = median(values);
  return result;
}

double log_ratio(const Medians& ours, const Medians& first) {
  double sum = 0;
  int count = 0;
  for (const auto& [trials, value] : ours) {
    if (trials >= 30 && trials != 50) sum += std::log(value / first.at(trials)), ++count;
  }
  return count == 0 ? 0 : sum / count;
}

void print_head() {
  fmt::print("{:<12} {:<28}", "function", "sampler");
  for (const std::size_t count : kColumns) fmt::print(" {:>10}", count);
  fmt::print(" {:>10}\n", "s");
}

void print_row(const std::string& function, const std::string& sampler, const Medians& row, double seconds) {
  fmt::print("{:<12} {:<28}", function, sampler);
  for (const auto& [count, value] : row) fmt::print(" {:>10.3g}", value);
  fmt::print(" {:>10.2f}\n", seconds);
}

void run(const Settings& settings) {
  std::map<std::string, std::map<std::string, Medians>> table;  // sampler -> function -> medians
  if (!settings.json) print_head();
  for (const Objective& objective : black_boxes()) {
    const auto& wanted = settings.functions;
    if (!wanted.empty() && std::find(wanted.begin(), wanted.end(), objective.name) == wanted.end()) continue;
    for (const auto& sampler : settings.samplers) {
      const auto start = std::chrono::steady_clock::now();
      const Columns columns = columns_of(objective, sampler, settings);
      const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      const auto asks = static_cast<double>(settings.seeds * settings.trials);
      if (settings.json) {
        print_json(objective, with_start(sampler, settings.start), columns, seconds / asks);
        continue;
      }
      print_row(objective.name, sampler, table[sampler][objective.name] = medians(columns), seconds);
    }
  }
  if (settings.json) return;
  for (const auto& sampler : settings.samplers) {
    double sum = 0;
    for (const auto& [function, row] : table[sampler]) sum += log_ratio(row, table[settings.samplers[0]][function]);
    fmt::print("ratio {:.3f} {}\n", std::exp(sum / static_cast<double>(table[sampler].size())), sampler);
  }
}

}  // namespace
}  // namespace finetune::testing

int main(int count, char** arguments) {
  finetune::testing::Settings settings;
  CLI::App app{"Median regret of samplers on black boxes"};
  app.add_flag("--json", settings.json, "one object a row");
  app.add_option("--seeds", settings.seeds, "how many");
  app.add_option("--first-seed", settings.first_seed, "the first of them");
  app.add_option("--trials", settings.trials, "of each seed");
  app.add_option("--start", settings.start, "of the parameters")->check(CLI::IsMember({"good", "bad"}));
  app.add_option("--functions", settings.functions, "some of the black boxes")->delimiter(',')->allow_extra_args(false);
  app.add_option("samplers", settings.samplers, "NAME[:option=value,...]")->required();
  CLI11_PARSE(app, count, arguments);
  try {
    finetune::testing::run(settings);
  } catch (const std::exception& error) {
    fmt::print(stderr, "quality_samplers: {}\n", error.what());
    return 2;
  }
}
