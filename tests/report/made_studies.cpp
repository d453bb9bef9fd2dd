#include "report/made_studies.h"

#include <algorithm>
#include <cmath>

#include "core/random.h"

namespace finetune::testing {
namespace {

constexpr std::int64_t kSteps = 100;

ReportFacts frame() {
  ReportFacts study;
  study.model = "models/SmolLM2-135M-Instruct";
  study.train_data = "chats.jsonl";
  study.train_files = {"chats.jsonl"};
  study.valid_data = "5 % of data.train, chosen by hash";
  study.device = "cpu (AMD EPYC, 2 threads)";
  study.version = "0.1.0";
  study.sampler = "tpe";
  study.scheduler = "asha";
  study.full_steps = kSteps;
  study.base_metric = 3.1;
  study.default_metric = 2.21;
  study.provenance = {{"finetune_tune", "0.1.0"},
                      {"LibTorch", "2.11.0"},
                      {"tune.seed", "0"},
                      {"train.seed", "0"},
                      {"run.yaml", "3f0c91a2b6e4d7581c2a9e07d4f3b610"},
                      {"model.safetensors", "c0ffee00c0ffee00c0ffee00c0ffee00"}};
  study.folder = "runs/chat";
  study.best_weights = BestWeights::adapter;
  study.has_best_yaml = true;
  return study;
}

std::vector<ParameterFacts> searched_parameters(std::size_t count) {
  std::vector<ParameterFacts> search{
      {.name = "train.learning_rate", .low = 2e-5, .high = 2e-2, .log = true},
      {.name = "train.lora.rank",
       .choices = {Value{std::int64_t{8}}, Value{std::int64_t{16}}, Value{std::int64_t{32}}, Value{std::int64_t{64}}}},
      {.name = "train.schedule", .choices = {Value{"linear"}, Value{"cosine"}, Value{"constant"}}},
      {.name = "train.warmup_ratio", .low = 0, .high = 0.2},
      {.name = "train.batch_size", .low = 4, .high = 64, .log = true, .integer = true}};
  while (search.size() < count)
    search.push_back({.name = "data.weights.source_" + std::to_string(search.size()), .low = 0, .high = 1});
  search.resize(count);
  return search;
}

Value value_of(const ParameterFacts& parameter, Random& random) {
  if (!parameter.choices.empty()) return parameter.choices[random.below(parameter.choices.size())];
  double number = random.uniform(parameter.low, parameter.high);
  if (parameter.log) number = std::exp(random.uniform(std::log(parameter.low), std::log(parameter.high)));
  if (parameter.integer) return static_cast<std::int64_t>(std::lround(number));
  return number;
}

// Where a configuration ends: best at a rate of 1e-3 and a high rank.
double quality_of(const TrialFacts& trial) {
  const double rate = as_number(*find_param(trial.params, "train.learning_rate"));
  const Value* rank = find_param(trial.params, "train.lora.rank");
  const double distance = std::log10(rate) + 3;
  return 1.6 + 0.35 * distance * distance - (rank ? 0.04 * std::log2(as_number(*rank)) : 0);
}

double loss_at(double quality, std::int64_t step) {
  return quality + 1.6 * std::exp(-static_cast<double>(step) / 25);
}

void train(TrialFacts& trial, std::int64_t until, Random& random) {
  const double quality = quality_of(trial);
  for (std::int64_t step = trial.steps + 1; step <= until; ++step) {
    trial.train_loss.push_back({step, loss_at(quality, step) + 0.12 * random.normal()});
    if (step % 10 != 0) continue;
    const double value = loss_at(quality, step) + 0.02 * random.normal();
    trial.metrics.push_back({step, value});
    if (!trial.metric || value < *trial.metric) trial.metric = value, trial.step = step;
  }
  trial.steps = until;
}

// The best third goes on from each rung; trials run four side by side, one group after the other.
void play(ReportFacts& study, Random& random) {
  std::vector<TrialFacts*> left;
  for (TrialFacts& trial : study.trials) {
    if (trial.state != "failed") left.push_back(&trial);
  }
  for (const std::int64_t until : {std::int64_t{10}, std::int64_t{30}, kSteps}) {
    for (TrialFacts* trial : left) train(*trial, until, random);
    if (until == kSteps) break;
    std::ranges::sort(left, {}, [](const TrialFacts* trial) { return trial->metrics.back().value; });
    const std::size_t keep = std::max<std::size_t>(std::min<std::size_t>(3, left.size()), left.size() / 3);
    for (std::size_t i = keep; i < left.size(); ++i) {
      left[i]->state = "stopped";
      left[i]->reason = "rung " + std::to_string(until) + ": not among the best " + std::to_string(keep) + " of " +
                        std::to_string(left.size());
    }
    left.resize(keep);
  }
}

void settle(ReportFacts& study) {
  std::int64_t begin = 0, longest = 0;
  for (std::size_t i = 0; i < study.trials.size(); ++i) {
    TrialFacts& trial = study.trials[i];
    if (i % 4 == 0) begin += longest, longest = 0;
    longest = std::max(longest, trial.steps);
    trial.rounds = {{begin + 1, begin + trial.steps}};
    study.steps += trial.steps;
    if (trial.state == "stopped") study.saved_steps += kSteps - trial.steps;
    if (trial.state == "completed" && (!study.best || *trial.metric < *study.trials[*study.best].metric))
      study.best = i;
  }
  study.tokens = study.steps * 1200;
  study.seconds = 0.37 * static_cast<double>(study.steps);
  if (study.best) {
    study.default_params = study.trials[*study.best].params;
    study.default_params.front().second = 3e-4;
  }
  analyze(study);
}

}  // namespace

ReportFacts made_study(std::size_t trials, std::size_t parameters) {
  ReportFacts study = frame();
  study.rungs = {10, 30};
  study.search = searched_parameters(parameters);
  Random random(11, Purpose::test, trials);
  for (std::size_t i = 0; i < trials; ++i) {
    TrialFacts trial{.id = static_cast<std::int64_t>(i), .state = "completed"};
    for (const ParameterFacts& parameter : study.search)
      trial.params.emplace_back(parameter.name, value_of(parameter, random));
    if (trials > 3 && as_number(trial.params.front().second) > 0.012) {
      trial.state = "failed";
      trial.steps = 4;
      trial.reason = "loss is nan at step 5";
      trial.train_loss = {{1, 3.3}, {2, 4.1}, {3, 7.9}, {4, 55}};
    }
    study.trials.push_back(std::move(trial));
  }
  play(study, random);
  settle(study);
  return study;
}

ReportFacts made_population() {
  ReportFacts study = frame();
  study.scheduler = "pbt";
  study.sampler = "random";
  study.search = searched_parameters(1);
  study.folder = "runs/population";
  Random random(3, Purpose::test, 0);
  for (std::int64_t id = 0; id < 8; ++id) {
    TrialFacts trial{.id = id, .state = "completed"};
    trial.params = {{"train.learning_rate", value_of(study.search.front(), random)}};
    study.trials.push_back(std::move(trial));
  }
  std::vector<std::vector<ScheduleFact>> schedules;
  for (const TrialFacts& trial : study.trials) schedules.push_back({{0, trial.params}});
  for (std::int64_t until = 20; until <= kSteps; until += 20) {
    for (TrialFacts& trial : study.trials) train(trial, until, random);
    if (until == kSteps) break;
    std::vector<std::size_t> order{0, 1, 2, 3, 4, 5, 6, 7};
    std::ranges::sort(order, {}, [&](std::size_t i) { return study.trials[i].metrics.back().value; });
    for (std::size_t k = 0; k < 2; ++k) {
      const TrialFacts& donor = study.trials[order[k]];
      TrialFacts& loser = study.trials[order[7 - k]];
      const double rate = as_number(donor.params.front().second) * (random.uniform() < 0.5 ? 0.8 : 1.25);
      loser.params = {{"train.learning_rate", rate}};
      loser.lineage.push_back({until, donor.id, loser.params});
      schedules[order[7 - k]] = schedules[order[k]];
      schedules[order[7 - k]].push_back({until, loser.params});
    }
  }
  settle(study);
  for (TrialFacts& trial : study.trials) trial.rounds = {{1, kSteps}};
  study.best_schedule = schedules[*study.best];
  return study;
}

ReportFacts made_failure() {
  ReportFacts study = frame();
  study.search = searched_parameters(2);
  study.search.front().low = 0.5;
  study.search.front().high = 5;
  study.best_weights = BestWeights::none;
  study.has_best_yaml = false;
  study.default_metric.reset();
  Random random(5, Purpose::test, 0);
  for (std::int64_t id = 0; id < 6; ++id) {
    TrialFacts trial{
        .id = id, .state = "failed", .reason = "loss is nan at step " + std::to_string(id + 2), .steps = id + 1};
    for (const ParameterFacts& parameter : study.search)
      trial.params.emplace_back(parameter.name, value_of(parameter, random));
    for (std::int64_t step = 1; step <= trial.steps; ++step)
      trial.train_loss.push_back({step, 3.0 * std::exp(0.9 * static_cast<double>(step))});
    study.trials.push_back(std::move(trial));
  }
  settle(study);
  return study;
}

ReportFacts made_trust() {
  ReportFacts study = made_study(40);
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < study.trials.size(); ++i) {
    if (study.trials[i].state == "completed") order.push_back(i);
  }
  std::ranges::sort(order, {}, [&](std::size_t i) { return *study.trials[i].metric; });
  study.confirmation = "confirmed with 2 more seeds";
  for (std::size_t k = 0; k < 3; ++k) {
    const TrialFacts& trial = study.trials[order.at(k)];
    const double low = *trial.metric + 0.01, high = *trial.metric + 0.03;
    study.confirmed.push_back(
        {.trial = trial.id, .metrics = {low, high}, .mean = (low + high) / 2, .standard_error = (high - low) / 2});
  }
  study.test_files = {"held.jsonl"};
  study.test = TestFact{1.71, 2.3, 3.15};
  study.audit = AuditFact{4, 1};
  study.rung_metric = "perplexity";
  study.rung_agreement = CorrelationFact{30, 100, 12, 0.83};
  study.guarded_levels = {10};
  study.evaluation_seconds = 200;
  const Params& params = study.trials[*study.best].params;
  study.ablation = {{"", {}, 2.21}, {params[0].first, params[0].second, 1.8}, {params[1].first, params[1].second, 1.7}};
  for (int i = 0; i < 10; ++i)
    study.samples.push_back({"Who wrote book " + std::to_string(i) + "?\nSay the name alone.", "Ada <Lovelace> & sons",
                             std::string(static_cast<std::size_t>(100 * i), 'x') + " I do not know.", "Ada"});
  // Token losses of examples that are hard for all alike: the next best is a little worse, the default much.
  Random random(17, Purpose::test, 0);
  study.judged = {{study.trials[order[0]].id, {}}, {study.trials[order[1]].id, {}}, {std::nullopt, {}}};
  for (int i = 0; i < 150; ++i) {
    const double tokens = 20 + static_cast<double>(random.below(60)), hard = 1.7 + 0.4 * random.normal();
    for (std::size_t k = 0; k < 3; ++k) {
      const double worse = k == 0 ? 0 : (k == 1 ? 0.01 : 0.5) + 0.2 * random.normal();
      study.judged[k].examples.push_back({tokens * (hard + worse), tokens});
    }
  }
  analyze(study);
  return study;
}

std::vector<std::pair<std::string, ReportFacts>> made_studies() {
  return {{"three", made_study(3)},   {"many", made_study(300)},    {"population", made_population()},
          {"failed", made_failure()}, {"wide", made_study(60, 30)}, {"trust", made_trust()}};
}

}  // namespace finetune::testing
