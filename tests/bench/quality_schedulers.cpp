// How well schedulers choose and what they spend, on simulated curves: one Markdown row a case. Run by hand:
//   quality_schedulers [side-by-side|sequential|populations] [seeds] [sampler]
// Regret: median over seeds of the noise-free regret of the trial that the tuner calls best, after half and after all
// of the steps; trials and steps are means.
#include <fmt/core.h>

#include <algorithm>
#include <string>
#include <vector>

#include "support/simulate.h"

namespace finetune::testing {
namespace {

struct Entry {
  std::string name;
  Params options;
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

std::string text_of(const Entry& entry) {
  std::string text = entry.name;
  for (const auto& [name, value] : entry.options) text += " " + name + "=" + to_text(value);
  return text;
}

void measure(const CurveProblem& problem, const Entry& entry, SimulatedStudy study, std::uint64_t seeds) {
  study.scheduler = entry.name;
  study.scheduler_options = entry.options;
  std::vector<double> half, whole;
  double trials = 0, steps = 0;
  for (study.seed = 0; study.seed < seeds; ++study.seed) {
    const SimulatedResult result = simulate(problem, study);
    half.push_back(result.half_regret);
    whole.push_back(result.regret);
    trials += static_cast<double>(result.trials) / static_cast<double>(seeds);
    steps += static_cast<double>(result.steps) / static_cast<double>(seeds);
  }
  fmt::print("| {} | {} | {} | {:.3g} | {:.3g} | {:.0f} | {:.0f} |\n", problem.name, study.sampler, text_of(entry),
             median(half), median(whole), trials, steps);
}

void print_head() {
  fmt::print(
      "| function | sampler | scheduler | regret, half | regret | trials | steps |\n|---|---|---|---|---|---|---|\n");
}

const std::int64_t kOne = 1;

std::vector<Entry> halvings() {
  const Params by_4{{"min_steps", kOne}, {"reduction_factor", std::int64_t{4}}}, by_3{{"min_steps", kOne}};
  return {{"none", {}},
          {"median", {}},
          {"asha", by_4},
          {"asha", by_3},
          {"asha_promotion", by_4},
          {"asha_promotion", by_3},
          {"pasha", by_3},
          {"hyperband", {{"min_steps", kOne}, {"guard", false}}},
          {"hyperband", by_3},
          {"sync_hyperband", by_3},
          {"early_exit", {}},
          {"wilcoxon", {}}};
}

// 20 full-length runs' worth of steps, eight trials side by side.
void side_by_side(std::uint64_t seeds, const std::string& sampler) {
  const std::vector<CurveProblem> problems{curves::mfh(3, "good"), curves::mfh(3, "terrible"), curves::curve_power(),
                                           curves::lora()};
  print_head();
  for (const auto& problem : problems) {
    for (const auto& entry : halvings())
      measure(problem, entry, {.sampler = sampler, .concurrent = 8, .steps = 20 * problem.steps}, seeds);
  }
}

// One trial after the other, 4000 steps.
void sequential(std::uint64_t seeds, const std::string& sampler) {
  const std::vector<CurveProblem> problems{curves::mfh(3, "good"), curves::mfh(3, "terrible"), curves::mfh(6, "good"),
                                           curves::mfh(6, "terrible")};
  print_head();
  for (const auto& problem : problems) {
    for (const auto& entry : halvings())
      measure(problem, entry, {.sampler = sampler, .concurrent = 1, .steps = 4000}, seeds);
  }
}

// A population beside the best of its own members' first settings, kept to the end ("none").
void populations(std::uint64_t seeds, const std::string& sampler) {
  print_head();
  for (const auto& problem : {curves::pbt_toy(), curves::drift()}) {
    for (const std::int64_t members : {2, 4, 8, 16}) {
      for (const Entry& entry : {Entry{"none", {}}, Entry{"pbt", {}},
                                 Entry{"pbt", {{"exploit", std::string("tournament")}}}, Entry{"pb2", {}}}) {
        measure(problem, entry,
                {.sampler = sampler, .trials = members, .concurrent = members, .steps = members * problem.steps},
                seeds);
      }
    }
  }
}

}  // namespace
}  // namespace finetune::testing

int main(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "side-by-side";
  const std::uint64_t seeds = argc > 2 ? std::stoull(argv[2]) : 20;
  const std::string sampler = argc > 3 ? argv[3] : "random";
  if (what == "populations")
    finetune::testing::populations(seeds, sampler);
  else if (what == "sequential")
    finetune::testing::sequential(seeds, sampler);
  else
    finetune::testing::side_by_side(seeds, sampler);
}
