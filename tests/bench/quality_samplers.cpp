// How well samplers search: the median regret on black boxes after 20, 30, 60 and 100 trials, one after the other.
//
//     quality_samplers [--seeds N] [--trials N] [--functions a,b] SAMPLER[:option=value,...] ...
//     quality_samplers --seeds 30 tpe tpe:mode=optuna4 random
//
// Regret is the best value so far less the known minimum. `ratio` is the geometric mean over the functions of the
// median after 30, 60 and 100 trials over that of the first sampler named.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <map>

#include "core/error.h"
#include "core/text.h"
#include "support/objectives.h"
#include "tuners/registry.h"

namespace finetune::testing {
namespace {

struct Settings {
  std::uint64_t seeds = 20;
  std::size_t trials = 100;
  std::vector<std::string> functions, samplers;
};

const std::vector<std::size_t> kColumns{20, 30, 60, 100};
using Medians = std::map<std::size_t, double>;  // trials -> median regret

Value option_value(const std::string& text) {
  if (text == "true" || text == "false") return text == "true";
  char* end = nullptr;
  const double number = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != '\0') return text;
  if (text.find_first_of(".e") == std::string::npos) return static_cast<std::int64_t>(number);
  return number;
}

std::unique_ptr<Sampler> sampler_from(const std::string& text, const SearchSpace& space, std::uint64_t seed) {
  const auto colon = text.find(':');
  Params options;
  if (colon != std::string::npos) {
    for (const auto& part : split(text.substr(colon + 1), ',')) {
      const std::string option(part);
      const auto equals = option.find('=');
      if (equals == std::string::npos) throw bad_input("", "sampler options are name=value, not " + option);
      options.emplace_back(option.substr(0, equals), option_value(option.substr(equals + 1)));
    }
  }
  return make_sampler(text.substr(0, colon), {options, space, seed});
}

std::vector<double> regrets(const Objective& objective, const std::string& sampler_text, std::uint64_t seed,
                            std::size_t count) {
  const auto sampler = sampler_from(sampler_text, objective.space, seed);
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

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t n = values.size();
  return n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

Medians medians(const Objective& objective, const std::string& sampler, const Settings& settings) {
  std::map<std::size_t, std::vector<double>> columns;
  for (std::uint64_t seed = 0; seed < settings.seeds; ++seed) {
    const auto best = regrets(objective, sampler, seed, settings.trials);
    for (const std::size_t count : kColumns) {
      if (count <= best.size()) columns[count].push_back(best[count - 1]);
    }
  }
  Medians result;
  for (const auto& [count, values] : columns) result[count] = median(values);
  return result;
}

double log_ratio(const Medians& ours, const Medians& first) {
  double sum = 0;
  int count = 0;
  for (const auto& [trials, value] : ours) {
    if (trials >= 30) sum += std::log(value / first.at(trials)), ++count;
  }
  return count == 0 ? 0 : sum / count;
}

void run(const Settings& settings) {
  std::map<std::string, std::map<std::string, Medians>> table;  // sampler -> function -> medians
  fmt::print("{:<12} {:<28}", "function", "sampler");
  for (const std::size_t count : kColumns) fmt::print(" {:>10}", count);
  fmt::print(" {:>10}\n", "s");
  for (const Objective& objective : black_boxes()) {
    const auto& wanted = settings.functions;
    if (!wanted.empty() && std::find(wanted.begin(), wanted.end(), objective.name) == wanted.end()) continue;
    for (const auto& sampler : settings.samplers) {
      const auto start = std::chrono::steady_clock::now();
      const Medians& row = table[sampler][objective.name] = medians(objective, sampler, settings);
      fmt::print("{:<12} {:<28}", objective.name, sampler);
      for (const auto& [count, value] : row) fmt::print(" {:>10.3g}", value);
      fmt::print(" {:>10.2f}\n", std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
  }
  for (const auto& sampler : settings.samplers) {
    double sum = 0;
    for (const auto& [function, row] : table[sampler]) sum += log_ratio(row, table[settings.samplers[0]][function]);
    fmt::print("ratio {:.3f} {}\n", std::exp(sum / static_cast<double>(table[sampler].size())), sampler);
  }
}

Settings read_settings(int count, char** arguments) {
  Settings settings;
  for (int i = 1; i < count; ++i) {
    const std::string text = arguments[i];
    if (text.rfind("--", 0) != 0)
      settings.samplers.push_back(text);
    else if (i + 1 == count)
      throw bad_input("", text + " needs a value");
    else if (text == "--seeds")
      settings.seeds = std::stoull(arguments[++i]);
    else if (text == "--trials")
      settings.trials = std::stoull(arguments[++i]);
    else if (text == "--functions")
      for (const auto& part : split(arguments[++i], ',')) settings.functions.emplace_back(part);
    else
      throw bad_input("", "unknown flag " + text);
  }
  if (settings.samplers.empty()) throw bad_input("", "name a sampler: " + join(sampler_names(), ", "));
  return settings;
}

}  // namespace
}  // namespace finetune::testing

int main(int count, char** arguments) {
  try {
    finetune::testing::run(finetune::testing::read_settings(count, arguments));
  } catch (const std::exception& error) {
    fmt::print(stderr, "quality_samplers: {}\n", error.what());
    return 2;
  }
}
