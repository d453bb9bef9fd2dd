#include "host/bench_speed.h"

#include <algorithm>
#include <chrono>

#include "engine/lane_threads.h"
#include "engine/lanes.h"

namespace finetune {
namespace {

using BenchClock = std::chrono::steady_clock;

constexpr int kMostWarmSteps = 60, kCalmSteps = 5;

double seconds_from(BenchClock::time_point started) {
  return std::chrono::duration<double>(BenchClock::now() - started).count();
}

// The trials of one lane.
class BenchLane {
 public:
  BenchLane(const Session& session, PackedTrainer& trainer) : session_(session), trainer_(trainer) {}
  void admit(std::int64_t number, const std::vector<std::int64_t>& ranks) {
    TrainConfig config = session_.config.train;
    config.lora.rank = ranks[static_cast<std::size_t>(number) % ranks.size()];
    ids_.push_back({number});
    trainer_.admit(ids_.back(), config);
  }
  bool is_idle() const { return ids_.empty(); }
  // Until nothing new has been captured for a while; one step where nothing is.
  void warm_up() {
    speed.first_loss = trainer_.step(ids_).front().train_loss;
    for (int step = 1, calm = 0; step < kMostWarmSteps && calm < kCalmSteps; ++step) {
      const std::int64_t before = trainer_.captures();
      if (before == 0) return;
      trainer_.step(ids_);
      calm = trainer_.captures() == before ? calm + 1 : 0;
    }
  }
  void submit() { trainer_.submit(ids_); }
  // The oldest step that was submitted.
  void take() {
    for (const StepResult& result : trainer_.collect()) {
      speed.tokens += result.tokens;
      speed.last_loss = result.train_loss;
      speed.gradient_norm = result.gradient_norm;
      speed.finite = speed.finite && result.finite;
    }
    ++speed.steps;
  }
  std::int64_t captures() const { return trainer_.captures(); }

  TrainingSpeed speed;

 private:
  const Session& session_;
  PackedTrainer& trainer_;
  std::vector<TrialId> ids_;
};

// Rounds, a step of every lane each, for some seconds; returns what they took.
double run_rounds(std::vector<BenchLane>& lanes, const std::vector<std::size_t>& busy, LaneThreads& threads,
                  double seconds) {
  const auto started = BenchClock::now();
  threads.run(busy, [&](std::size_t lane) { lanes[lane].submit(); });
  do {
    threads.run(busy, [&](std::size_t lane) {
      lanes[lane].submit();
      lanes[lane].take();
    });
  } while (seconds_from(started) < seconds);
  threads.run(busy, [&](std::size_t lane) { lanes[lane].take(); });
  return seconds_from(started);
}

}  // namespace

TrainingSpeed packed_speed(const Session& session, const BenchOptions& options, std::int64_t& captures) {
  const std::vector<LaneParts> parts = make_lanes(session, options.trials);
  std::vector<BenchLane> lanes;
  for (const LaneParts& part : parts) lanes.emplace_back(session, *part.trainer);
  for (std::int64_t i = 0; i < options.trials; ++i)
    lanes[static_cast<std::size_t>(i) % lanes.size()].admit(i, options.ranks);
  std::vector<std::size_t> busy;
  for (std::size_t i = 0; i < lanes.size(); ++i) {
    if (!lanes[i].is_idle()) busy.push_back(i);
  }
  LaneThreads threads(lanes.size());
  threads.run(busy, [&](std::size_t lane) {
    parts[lane].trainer->share(busy.size());
    lanes[lane].warm_up();
  });
  const double seconds = run_rounds(lanes, busy, threads, options.seconds);
  TrainingSpeed all = lanes[busy.front()].speed;
  all.seconds = seconds;
  all.tokens = 0;
  for (const std::size_t lane : busy) {
    all.tokens += lanes[lane].speed.tokens;
    all.finite = all.finite && lanes[lane].speed.finite;
    captures += lanes[lane].captures();
  }
  return all;
}

TrainingSpeed alone_speed(const Session& session, const BenchOptions& options) {
  const auto store = make_store(session, 0, 1);
  const auto trainer = make_trainer(session, *store, session.data.train.examples, {});
  std::vector<BenchLane> lanes{{session, *trainer}};
  trainer->share(1);
  lanes.front().admit(0, options.ranks);
  LaneThreads threads(1);
  const std::vector<std::size_t> only{0};
  threads.run(only, [&](std::size_t) { lanes.front().warm_up(); });
  lanes.front().speed.seconds = run_rounds(lanes, only, threads, options.seconds);
  return lanes.front().speed;
}

}  // namespace finetune
