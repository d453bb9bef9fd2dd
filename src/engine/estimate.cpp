#include "engine/estimate.h"

#include <algorithm>
#include <cmath>

#include "core/random.h"
#include "data/dataset.h"
#include "engine/planner.h"
#include "engine/schedule.h"
#include "models/objective.h"

namespace finetune {
namespace {

constexpr std::int64_t kSampledSteps = 32;  // batches differ in length; this many give their mean to a few per cent

std::int64_t fullest_lane(const Session& session, std::int64_t trials) {
  const auto lanes = static_cast<std::int64_t>(session.model.devices.size());
  return (trials + lanes - 1) / lanes;
}

// As training draws them on average; its own order would be made for all examples, however many there are.
// `sizes`: of the parts that the shares are of.
ExampleView any_example(const Examples& examples, const std::vector<std::int64_t>& sizes,
                        const std::vector<double>& shares, Random& random) {
  std::size_t first = 0, size = examples.size();
  if (!shares.empty()) {
    std::size_t part = 0;
    for (double left = random.uniform(); part + 1 < sizes.size() && left >= shares[part]; ++part) {
      left -= shares[part];
      first += static_cast<std::size_t>(sizes[part]);
    }
    size = static_cast<std::size_t>(sizes[part]);
  }
  return examples[first + random.below(size)];
}

}  // namespace

RoundWork planned_work(const Session& session, const Batch& batch, std::int64_t trials) {
  RoundWork one;
  const std::vector<std::int64_t> lengths = batch.lengths();
  for (const ExampleView& example : batch.examples) add_example(one, std::ssize(example.ids), example.loss_tokens());
  const bool together = !session.config.train.full();
  const std::vector<std::vector<std::int64_t>> all(static_cast<std::size_t>(together ? trials : 1), lengths);
  const auto passes = static_cast<double>(plan_passes(all, session.tokens_per_pass).size());
  RoundWork work = static_cast<double>(trials) * one;
  work.passes = together ? passes : passes * static_cast<double>(trials);
  work.trials = static_cast<double>(trials);
  return work;
}

RoundWork average_round(const Session& session, std::int64_t trials) {
  const TrainConfig& config = session.config.train;
  const Dataset& data = session.data.train;
  const std::vector<std::int64_t> sizes = config.shares.empty() ? std::vector<std::int64_t>{} : part_sizes(data);
  Random random(static_cast<std::uint64_t>(config.seed), Purpose::forecast);
  RoundWork sum;
  for (std::int64_t i = 0; i < kSampledSteps; ++i) {
    Batch batch;
    for (std::int64_t k = 0; k < config.batch_size; ++k)
      batch.add(any_example(data.examples, sizes, config.shares, random));
    sum = sum + planned_work(session, batch, trials);
  }
  return 1.0 / static_cast<double>(kSampledSteps) * sum;
}

double round_seconds(const Session& session, const LaneCosts& costs, std::int64_t resident) {
  return seconds_of(costs.step, average_round(session, fullest_lane(session, resident)));
}

double evaluation_seconds(const Session& session, const LaneCosts& costs, std::int64_t resident) {
  if (session.data.valid.examples.empty()) return 0;
  return seconds_of(costs.evaluation,
                    planned_work(session, session.data.valid.examples, fullest_lane(session, resident)));
}

double reference_seconds(const Session& session, const LaneCosts& costs) {
  double seconds = 0;
  if (!objective_named(to_text(session.config.train.objective)).needs_reference()) return seconds;
  for (const Dataset* data : {&session.data.train, &session.data.valid, &session.data.test}) {
    if (!data->examples.empty()) seconds += seconds_of(costs.evaluation, planned_work(session, data->examples, 1));
  }
  return seconds;
}

double task_seconds(const Session& session, const LaneCosts& costs, std::int64_t resident) {
  double seconds = 0;
  for (const auto& evaluator : session.evaluators) {
    const EvaluatorWork asked = evaluator->work();
    const auto trials = static_cast<double>(fullest_lane(session, resident));
    const double tokens =
        static_cast<double>(asked.prompt_tokens) + kNewTokenCost * static_cast<double>(asked.new_tokens);
    const auto longest = static_cast<double>(asked.longest);
    RoundWork work{.tokens = trials * tokens,
                   .squares = trials * static_cast<double>(asked.sequences) * longest * longest};
    work.loss_rows = trials * static_cast<double>(asked.new_tokens + asked.sequences);
    work.passes = std::ceil(work.tokens / static_cast<double>(session.tokens_per_pass));
    work.trials = trials;
    seconds += seconds_of(costs.evaluation, work);
  }
  return seconds;
}

double run_seconds(const Session& session, const LaneCosts& costs, double trials, std::int64_t resident,
                   const Evaluations& evaluations, bool with_baselines) {
  const double rounds = trials * static_cast<double>(last_step(session.config.train)) / static_cast<double>(resident);
  const double turns = trials / static_cast<double>(resident);
  double seconds = rounds * round_seconds(session, costs, resident) +
                   turns * static_cast<double>(evaluations.losses) * evaluation_seconds(session, costs, resident) +
                   turns * static_cast<double>(evaluations.tasks) * task_seconds(session, costs, resident);
  if (with_baselines) {
    const double beside = round_seconds(session, costs, resident + 1) - round_seconds(session, costs, resident);
    seconds += static_cast<double>(last_step(session.config.train)) * beside +
               2 * evaluation_seconds(session, costs, 1) + 2 * task_seconds(session, costs, 1);
  }
  return seconds;
}

}  // namespace finetune
