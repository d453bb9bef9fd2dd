#include "loop_speed.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <vector>

#include "quantile.h"
#include "support/fake_lane.h"

namespace finetune::testing {
namespace {

using Clock = std::chrono::steady_clock;

class RoundTimes : public StudyObserver {
 public:
  void before_decision() override { decision_began_ = Clock::now(); }
  void after_decision() override { decision_ += since(decision_began_); }
  void on_round(std::int64_t) override {
    rounds.push_back(since(round_began_));
    decisions.push_back(decision_);
    decision_ = 0;
    round_began_ = Clock::now();
  }
  std::vector<double> rounds, decisions;

 private:
  static double since(Clock::time_point began) { return std::chrono::duration<double>(Clock::now() - began).count(); }
  Clock::time_point round_began_ = Clock::now(), decision_began_;
  double decision_ = 0;
};

std::unique_ptr<Tuner> tuner_of(const std::string& scheduler, std::int64_t concurrent, std::int64_t trials,
                                std::int64_t steps) {
  const SearchSpace space{{{.name = "learning_rate", .low = 1e-3, .high = 1e-1, .log = true}}};
  const TunerOptions options{.trials = trials,
                             .max_steps = steps,
                             .concurrent = concurrent,
                             .default_min_steps = std::max<std::int64_t>(1, steps / 10)};
  return std::make_unique<Tuner>(options, make_sampler("random", {{}, space, 0}),
                                 make_scheduler(scheduler, {{}, space, options}));
}

}  // namespace

LoopSpeed measure_loop(const std::string& scheduler, std::int64_t lanes, std::int64_t slots, std::int64_t trials,
                       std::int64_t steps) {
  std::vector<std::unique_ptr<FakeLane>> own;
  std::vector<Lane*> list;
  for (std::int64_t i = 0; i < lanes; ++i) {
    own.push_back(std::make_unique<FakeLane>(2 * slots));
    list.push_back(own.back().get());
  }
  const std::int64_t concurrent = std::min(trials, lanes * slots);
  const std::unique_ptr<Tuner> tuner = tuner_of(scheduler, concurrent, trials, steps);
  StudyOptions options = options_for(steps);
  options.concurrent = concurrent;
  options.with_default = false;
  options.lag = 1;
  RoundTimes times;
  const StudyResult result = Study(options, *tuner, list, {&times}).run();
  return {result.rounds, quantile(times.rounds, 0.5), quantile(times.rounds, 1), quantile(times.decisions, 0.5),
          quantile(times.decisions, 1)};
}

}  // namespace finetune::testing
