// One ask of the gp sampler, fit included, on histories of 20 to 200 trials with six parameters.
#include <benchmark/benchmark.h>

#include <cmath>

#include "core/random.h"
#include "tuners/registry.h"

namespace finetune {
namespace {

std::vector<TrialRecord> history(const SearchSpace& space, std::int64_t count) {
  std::vector<TrialRecord> trials;
  for (std::int64_t id = 0; id < count; ++id) {
    Random random(1, Purpose::test, static_cast<std::uint64_t>(id));
    const Params params = sample_uniform(space, random);
    double value = 0.05 * random.normal();
    for (const auto& [name, x] : params) value += std::pow(as_number(x) - 0.4, 2);
    trials.push_back({.id = {id}, .params = params, .state = TrialState::completed, .values = {{1, value}}, .step = 1});
  }
  return trials;
}

void gp_ask(benchmark::State& state) {
  SearchSpace space;
  for (int d = 0; d < 6; ++d) space.parameters.push_back({.name = "x" + std::to_string(d), .low = 0, .high = 1});
  const auto trials = history(space, state.range(0));
  const auto sampler = make_sampler("gp", {{}, space, 1});
  std::int64_t id = state.range(0);
  for (auto _ : state) benchmark::DoNotOptimize(sampler->suggest({id++}, trials));
}
BENCHMARK(gp_ask)->Arg(20)->Arg(50)->Arg(100)->Arg(200)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace finetune
