// The functions that tuners are measured on, for programs in other languages: JSON lines, one answer a line.
//
//     quality_functions mfh3-good
//
// First comes what it is: {"name", "steps" (0: a black box), "minimum", "space": [{"name", "distribution", "when"}]},
// distributions as Optuna writes them. Then each line {"params": {...}} is answered by {"params", "value"} (free of
// noise) and, of a training run, "curve": the loss after each step, null once diverged. Its noise is that of "seed" and
// "trial" in the request. Without params they are what the random sampler suggests for this seed and trial.
#include <fmt/core.h>

#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/text.h"
#include "support/curves.h"
#include "support/objectives.h"
#include "tuners/registry.h"
#include "tuners/space/distribution_json.h"

namespace finetune::testing {
namespace {

using Json = nlohmann::ordered_json;

CurveProblem as_problem(const Objective& objective) {
  return {objective.name, objective.space, 0, objective.minimum, {}, objective.value};
}

std::vector<CurveProblem> functions() {
  std::vector<CurveProblem> all{curves::curve_power(), curves::lora()};
  for (const std::size_t dimensions : {3, 6}) {
    for (const char* quality : {"good", "moderate", "bad", "terrible"}) all.push_back(curves::mfh(dimensions, quality));
  }
  for (const Objective& objective : black_boxes()) all.push_back(as_problem(objective));
  return all;
}

CurveProblem function_named(const std::string& name) {
  std::vector<std::string> names;
  for (const auto& function : functions()) {
    if (function.name == name) return function;
    names.push_back(function.name);
  }
  throw bad_input("", "no function " + name + "; there are " + join(names, ", "));
}

Json description(const CurveProblem& problem) {
  Json space = Json::array();
  for (const auto& spec : problem.space.parameters) {
    Json when = Json::object();
    for (const auto& [parent, values] : spec.when) {
      when[parent] = Json::array();
      for (const Value& value : values) when[parent].push_back(to_json(value));
    }
    space.push_back({{"name", spec.name}, {"distribution", distribution_json(spec)}, {"when", when}});
  }
  return {{"name", problem.name}, {"steps", problem.steps}, {"minimum", problem.minimum}, {"space", space}};
}

// In the space's order, whatever that of the request.
Params params_of(const Json& request, const SearchSpace& space) {
  Params params;
  for (const auto& spec : space.parameters) {
    const auto found = request.find(spec.name);
    if (found != request.end()) params.emplace_back(spec.name, value_from_json(*found));
  }
  return params;
}

Json curve_of(const CurveProblem& problem, const Params& params, std::uint64_t seed, std::int64_t trial) {
  Json curve = Json::array();
  const auto run = problem.start(seed, trial);
  for (std::int64_t step = 0; step < problem.steps; ++step) {
    const double loss = run->step(params);
    curve.push_back(std::isfinite(loss) ? Json(loss) : Json());
  }
  return curve;
}

Json answer(const CurveProblem& problem, const Json& request) {
  const auto seed = request.value("seed", std::uint64_t{0});
  const auto trial = request.value("trial", std::int64_t{0});
  const Params params = request.contains("params")
                            ? params_of(request.at("params"), problem.space)
                            : *make_sampler("random", {{}, problem.space, seed})->suggest(TrialId{trial}, {});
  const double value = problem.value(params);
  Json result{{"params", to_json(params)}, {"value", std::isfinite(value) ? Json(value) : Json()}};
  if (problem.start) result["curve"] = curve_of(problem, params, seed, trial);
  return result;
}

void serve(const CurveProblem& problem) {
  std::cout << description(problem).dump() << std::endl;
  for (std::string line; std::getline(std::cin, line);)
    std::cout << answer(problem, Json::parse(line)).dump() << std::endl;
}

}  // namespace
}  // namespace finetune::testing

int main(int count, char** arguments) {
  try {
    if (count != 2) throw finetune::bad_input("", "name a function");
    finetune::testing::serve(finetune::testing::function_named(arguments[1]));
  } catch (const std::exception& error) {
    fmt::print(stderr, "quality_functions: {}\n", error.what());
    return 2;
  }
}
