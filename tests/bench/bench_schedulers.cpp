// What a scheduler's callback costs. Bounds: a round in which nothing is due under 1 microsecond a trial, a decision
// over 64 trials under 50 microseconds; pb2's with a model is a fit of a Gaussian process, once an interval.
#include <benchmark/benchmark.h>

#include "tuners/registry.h"

namespace finetune {
namespace {

constexpr std::int64_t kTrials = 64, kSteps = 100'000;

SearchSpace space() {
  return {{{.name = "rate", .low = 1e-5, .high = 1e-2, .log = true}}};
}

// 64 trials that have reported `step`, with a value there if `evaluated`.
class Round {
 public:
  Round(Scheduler& scheduler, std::int64_t step, bool evaluated) {
    for (std::int64_t id = 0; id < kTrials; ++id) {
      TrialRecord trial{.id = {id}, .params = {{"rate", 1e-4 * static_cast<double>(1 + id)}}, .step = step};
      if (evaluated) trial.values = {{step, static_cast<double>(id * 37 % kTrials)}};
      trials_.push_back(std::move(trial));
      scheduler.on_start(trials_.back());
    }
    for (const auto& trial : trials_) reported_.push_back(&trial);
  }
  // The trials go on to `step`, each better by an amount of its own.
  void advance(std::int64_t step) {
    for (TrialRecord& trial : trials_) {
      const double gain = 1 + static_cast<double>((trial.id.value * 29 + step) % 17);
      trial.values.emplace_back(step, trial.values.back().second - gain);
      trial.step = step;
    }
  }
  void play(Scheduler& scheduler, std::vector<Action>& actions) const {
    scheduler.on_reports(reported_, trials_, actions);
    scheduler.on_idle(kTrials, false, trials_, actions);
  }

 private:
  std::vector<TrialRecord> trials_;
  std::vector<const TrialRecord*> reported_;
};

std::unique_ptr<Scheduler> make(const std::string& name) {
  Params options;
  if (name == "threshold") options = {{"upper", 1.0}};
  if (name == "replay") options = {{"schedule", std::string("1 rate=0.001")}};
  const TunerOptions tuner{.trials = kTrials, .max_steps = kSteps};
  return make_scheduler(name, {options, space(), tuner});
}

void nothing_due(benchmark::State& state, const std::string& name) {
  const auto scheduler = make(name);
  const Round round(*scheduler, 7, false);
  std::vector<Action> actions;
  for (auto _ : state) round.play(*scheduler, actions);
  state.counters["s/trial"] =
      benchmark::Counter(kTrials, benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

void decision(benchmark::State& state, const std::string& name) {
  std::vector<Action> actions;
  for (auto _ : state) {
    state.PauseTiming();
    const auto scheduler = make(name);
    const std::int64_t step = name == "early_exit" ? kSteps / 20 : name == "pbt" || name == "pb2" ? 10 : 1;
    const Round round(*scheduler, step, true);
    actions.clear();
    actions.reserve(2 * kTrials);
    state.ResumeTiming();
    round.play(*scheduler, actions);
    benchmark::DoNotOptimize(actions.data());
  }
}

// The fourth interval of pb2: its Gaussian process has seen the improvements of three.
void decision_with_model(benchmark::State& state) {
  std::vector<Action> actions;
  for (auto _ : state) {
    state.PauseTiming();
    const auto scheduler = make("pb2");
    Round round(*scheduler, 10, true);
    for (const std::int64_t step : {20, 30, 40}) {
      round.play(*scheduler, actions);
      round.advance(step);
    }
    actions.clear();
    state.ResumeTiming();
    round.play(*scheduler, actions);
    benchmark::DoNotOptimize(actions.data());
  }
}
BENCHMARK(decision_with_model)->Name("decision/pb2, with a model")->Unit(benchmark::kMicrosecond)->Iterations(50);

const bool registered = [] {
  for (const auto& name : scheduler_names()) {
    benchmark::RegisterBenchmark(("nothing_due/" + name).c_str(),
                                 [name](benchmark::State& s) { nothing_due(s, name); });
    benchmark::RegisterBenchmark(("decision/" + name).c_str(), [name](benchmark::State& s) { decision(s, name); })
        ->Unit(benchmark::kMicrosecond)
        ->Iterations(2000);
  }
  return true;
}();

}  // namespace
}  // namespace finetune
