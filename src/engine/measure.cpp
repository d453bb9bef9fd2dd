#include "engine/measure.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/estimate.h"
#include "engine/lane_threads.h"
#include "engine/lanes.h"

namespace finetune {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::int64_t kProbeTokens = 16;
constexpr double kFewestTokens = 96;  // with fewer a pass is mostly its reading of the weights, and says little
constexpr double kShort = 0.1;        // seconds: a round below is timed again, the best of kRepeats counts
constexpr int kRepeats = 4;
constexpr std::int64_t kMostTrials = 8;  // of a measurement, per lane: more only repeat what eight have shown

// The first `tokens` of an example, of each of its sequences an even share; the last one of each carries loss, so that
// there is some.
Example cut(const ExampleView& example, std::int64_t tokens) {
  const std::int64_t whole = std::ssize(example.ids);
  const Slice<std::int64_t> ends = example.ends.empty() ? Slice<std::int64_t>(&whole, 1) : example.ends;
  const std::int64_t share = std::max<std::int64_t>(2, tokens / std::ssize(ends));
  Example part;
  std::int64_t begin = 0;
  for (const std::int64_t end : ends) {
    const std::int64_t last = std::min(end, begin + share);
    part.ids.insert(part.ids.end(), example.ids.begin() + begin, example.ids.begin() + last);
    part.loss.insert(part.loss.end(), example.loss.begin() + begin, example.loss.begin() + last);
    part.loss.back() = 1;
    part.ends.push_back(std::ssize(part.ids));
    part.answers.push_back(part.ends.back() - 1);
    begin = end;
  }
  return part;
}

Examples cut_to(const Examples& one, std::int64_t tokens) {
  if (one.longest() <= std::max<std::int64_t>(2, tokens)) return one;
  return {std::vector{cut(one.front(), tokens)}};
}

// How many examples have each length.
std::map<std::int64_t, std::size_t> length_counts(const Examples& examples) {
  std::map<std::int64_t, std::size_t> counts;
  for (auto example = examples.begin(); example != examples.end(); ++example) ++counts[example.length()];
  return counts;
}

// Examples at equal shares of the lengths, of equal ones in their order: a batch like many. Counted instead of sorted,
// since there may be many.
Examples typical_batch(const Examples& examples, std::int64_t count) {
  std::map<std::int64_t, std::size_t> first = length_counts(examples);  // the rank of the first of each length
  std::size_t rank = 0;
  for (auto& [length, number] : first) number = std::exchange(rank, rank + number);
  std::unordered_multimap<std::size_t, std::size_t> wanted;  // of each rank: places in the batch
  for (std::int64_t i = 0; i < count; ++i) {
    const double share = (static_cast<double>(i) + 0.5) / static_cast<double>(count);
    wanted.emplace(static_cast<std::size_t>(share * static_cast<double>(examples.size())), i);
  }
  std::vector<std::uint32_t> places(static_cast<std::size_t>(count));
  for (auto example = examples.begin(); example != examples.end(); ++example) {
    const auto [begin, end] = wanted.equal_range(first[example.length()]++);
    for (auto place = begin; place != end; ++place) places[place->second] = static_cast<std::uint32_t>(example.index());
  }
  return examples.choose(std::move(places));
}

double tokens_of(const Examples& examples) {
  double all = 0;
  for (auto example = examples.begin(); example != examples.end(); ++example)
    all += static_cast<double>(example.length());
  return all;
}

// As many of the examples as have about `tokens` tokens together, spread over all of them; at least one, cut if need
// be.
Examples part_of(const Examples& batch, double tokens) {
  const double share = tokens / tokens_of(batch);
  if (share >= 1) return batch;
  const auto count = static_cast<std::int64_t>(share * static_cast<double>(batch.size()));
  if (count >= 1) return typical_batch(batch, count);
  return cut_to(typical_batch(batch, 1), static_cast<std::int64_t>(tokens));
}

// The lanes of a session, to be timed with one set of examples after the other.
class Bench {
 public:
  Bench(const Session& session, std::int64_t slots) : session_(session), threads_(session.model.devices.size()) {
    for (std::size_t lane = 0; lane < session.model.devices.size(); ++lane)
      stores_.push_back(make_store(session, lane, slots));
  }

  TimedRound step(const Examples& examples, std::int64_t trials) { return time(examples, trials, true); }
  TimedRound evaluation(const Examples& examples) { return time(examples, 1, false); }

 private:
  TimedRound time(const Examples& examples, std::int64_t trials, bool train) {
    TrainConfig config = session_.config.train;
    config.batch_size = std::ssize(examples);
    if (config.lora.init == LoraInit::pissa) {  // principal parts are not there yet: what it costs is twice the rank
      config.lora.init = LoraInit::standard;
      config.lora.rank *= 2;
    }
    std::vector<std::unique_ptr<PackedTrainer>> trainers;
    std::vector<std::size_t> lanes;
    std::vector<TrialId> ids;
    for (std::int64_t trial = 0; trial < trials; ++trial) ids.push_back({trial});
    for (std::size_t lane = 0; lane < stores_.size(); ++lane) {
      trainers.push_back(make_trainer(session_, *stores_[lane], examples, examples));
      for (const TrialId id : ids) trainers.back()->admit(id, config);
      lanes.push_back(lane);
    }
    const auto once = [&] {
      const auto started = Clock::now();
      threads_.run(lanes, [&](std::size_t lane) {
        trainers[lane]->share(lanes.size());
        if (train)
          trainers[lane]->step(ids);
        else
          trainers[lane]->evaluate(ids, {.tasks = false});
      });
      return std::chrono::duration<double>(Clock::now() - started).count();
    };
    TimedRound timed{.work = planned_work(session_, examples, trials), .seconds = once()};
    for (int again = 1; again < kRepeats && timed.seconds < kShort; ++again)
      timed.seconds = std::min(timed.seconds, once());
    return timed;
  }

  const Session& session_;
  LaneThreads threads_;
  std::vector<std::unique_ptr<ParameterStore>> stores_;
};

}  // namespace

LaneCosts measure_costs(const Session& session, std::int64_t trials, double seconds) {
  const WorkRatios ratios = work_ratios(session.model.checkpoint.options);
  const Examples batch = typical_batch(session.data.train.examples, session.config.train.batch_size);
  Bench bench(session, std::min(trials, kMostTrials));
  // Each round is as large as what the one before it says may be done in its share of the time.
  const Examples probe = cut_to(batch.choose({static_cast<std::uint32_t>(batch.size() / 2)}), kProbeTokens);
  bench.step(probe, 1);  // touches weights and libraries for the first time
  const TimedRound one = bench.step(probe, 1);
  const auto affordable = [&](double rate) { return std::max(kFewestTokens, rate * seconds / 4); };
  auto examples = part_of(batch, affordable(one.work.tokens / one.seconds));
  TimedRound more = bench.step(examples, 1);
  const double now = affordable(more.work.tokens / more.seconds);
  if (now > 1.5 * more.work.tokens && more.work.tokens < tokens_of(batch)) {
    examples = part_of(batch, now);
    more = bench.step(examples, 1);
  }
  const auto together =
      std::clamp(static_cast<std::int64_t>(seconds / 3 / more.seconds), std::int64_t{1}, std::min(trials, kMostTrials));
  std::optional<TimedRound> several;
  if (together > 1) several = bench.step(examples, together);
  const TimedRound evaluation = bench.evaluation(examples);
  LaneCosts costs{.step = fit_round_cost(ratios, one, more, several)};
  costs.evaluation = {.pass = costs.step.pass / 2, .ratios = ratios};
  const double rest = evaluation.seconds - costs.evaluation.pass * evaluation.work.passes;
  costs.evaluation.work = std::max(0.0, rest) / seconds_of({.work = 1, .ratios = ratios}, evaluation.work);
  return costs;
}

}  // namespace finetune
