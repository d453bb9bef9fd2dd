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

// The trials of one lane: submitted one step ahead of what is collected, as a study on a GPU does.
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
  void run(double seconds) {
    const auto started = BenchClock::now();
    trainer_.submit(ids_);
    do {
      trainer_.submit(ids_);
      take();
    } while (seconds_from(started) < seconds);
    take();
    speed.seconds = seconds_from(started);
  }
  std::int64_t captures() const { return trainer_.captures(); }

  TrainingSpeed speed;

 private:
  void take() {
    for (const StepResult& result : trainer_.collect()) {
      speed.tokens += result.tokens;
      speed.last_loss = result.train_loss;
      speed.gradient_norm = result.gradient_norm;
      speed.finite = speed.finite && result.finite;
    }
    ++speed.steps;
  }

  const Session& session_;
  PackedTrainer& trainer_;
  std::vector<TrialId> ids_;
};

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
  threads.run(busy, [&](std::size_t lane) { lanes[lane].run(options.seconds); });
  // Lanes end a step apart, so what each did in its own time is added up.
  TrainingSpeed all = lanes[busy.front()].speed;
  double rate = 0;
  all.tokens = all.steps = 0;
  for (const std::size_t lane : busy) {
    const TrainingSpeed& one = lanes[lane].speed;
    rate += one.tokens_per_second();
    all.tokens += one.tokens;
    all.steps = std::max(all.steps, one.steps);
    all.finite = all.finite && one.finite;
    captures += lanes[lane].captures();
  }
  all.seconds = static_cast<double>(all.tokens) / rate;
  return all;
}

TrainingSpeed alone_speed(const Session& session, const BenchOptions& options) {
  const auto store = make_store(session, 0, 1);
  const auto trainer = make_trainer(session, *store, session.data.train.examples, {});
  BenchLane lane(session, *trainer);
  trainer->share(1);
  lane.admit(0, options.ranks);
  lane.warm_up();
  lane.run(options.seconds);
  return lane.speed;
}

}  // namespace finetune
