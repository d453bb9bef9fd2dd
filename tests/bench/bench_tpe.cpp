// The time of one suggestion by tpe: over 10 real parameters, and over a space with every kind of them.
#include <benchmark/benchmark.h>

#include "support/objectives.h"
#include "tuners/registry.h"

namespace finetune::testing {
namespace {

SearchSpace reals() {
  SearchSpace space = box(10, 0, 1);
  for (std::size_t i = 0; i < 5; ++i) {
    space.parameters[i].low = 1e-5;
    space.parameters[i].log = true;
  }
  return space;
}

SearchSpace every_kind() {
  SearchSpace space = mixed_objective().space;
  for (auto& spec : mixed_objective().space.parameters) {
    spec.name += "_too";
    space.parameters.push_back(spec);
  }
  return space;
}

// Trials as random search leaves them, and better ones near the middle as a search goes on.
std::vector<TrialRecord> history(const SearchSpace& space, std::int64_t count) {
  std::vector<TrialRecord> trials;
  for (std::int64_t id = 0; id < count; ++id) {
    Random random(1, Purpose::test, static_cast<std::uint64_t>(id));
    Params params;
    double value = 0;
    for (const auto& spec : space.parameters) {
      double u = random.uniform();
      if (id % 2 == 1) u = 0.5 + 0.1 * (u - 0.5);
      params.emplace_back(spec.name, value_at(spec, u));
      value += square(u - 0.5);
    }
    trials.push_back({.id = {id}, .params = params, .state = TrialState::completed, .values = {{1, value}}, .step = 1});
  }
  return trials;
}

void suggest(benchmark::State& state, const SearchSpace& space, const Params& options) {
  const auto sampler = make_sampler("tpe", {options, space, 1});
  const auto trials = history(space, state.range(0));
  for (auto _ : state) benchmark::DoNotOptimize(sampler->suggest({state.range(0)}, trials));
}

void reals_standard(benchmark::State& state) {
  suggest(state, reals(), {});
}
void reals_optuna4(benchmark::State& state) {
  suggest(state, reals(), {{"mode", std::string("optuna4")}});
}
void every_kind_standard(benchmark::State& state) {
  suggest(state, every_kind(), {});
}

BENCHMARK(reals_standard)->Arg(100)->Arg(1000)->Unit(benchmark::kMicrosecond);
BENCHMARK(reals_optuna4)->Arg(100)->Arg(1000)->Unit(benchmark::kMicrosecond);
BENCHMARK(every_kind_standard)->Arg(100)->Arg(1000)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace finetune::testing
