// Steps on all lanes: given to them, and their results taken.
#include <algorithm>

#include "engine/study.h"

namespace finetune {
namespace {

std::vector<std::size_t> distinct(std::vector<std::size_t> numbers) {
  std::sort(numbers.begin(), numbers.end());
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
  return numbers;
}

void note_round(std::vector<RoundSpan>& spans, std::int64_t round) {
  if (spans.empty() || spans.back().last + 1 != round) spans.push_back({round, round});
  spans.back().last = round;
}

}  // namespace

// Runs job(lane) on those lanes, side by side. The machine's processors are divided among them.
void Study::on_lanes(const std::vector<std::size_t>& lanes, const std::function<void(std::size_t)>& job) {
  threads_.run(lanes, [&](std::size_t lane) {
    lanes_[lane]->share(lanes.size());
    job(lane);
  });
}

void Study::submit_steps(StudyRound& round) {
  for (const TrialId id : round.trials) {
    Trial& trial = state_.trial(id);
    ++trial.submitted;
    round.lanes.push_back(trial.lane);
    trial.awaits_answer = wants_evaluation(trial, trial.submitted) || changes_after(id, trial.submitted);
  }
  on_lanes(distinct(round.lanes), [&](std::size_t lane) {
    std::vector<TrialId> ids;
    for (std::size_t i = 0; i < round.trials.size(); ++i) {
      if (round.lanes[i] == lane) ids.push_back(round.trials[i]);
    }
    lanes_[lane]->submit(ids);
  });
}

void Study::collect_steps(StudyRound& round) {
  round.collected = true;
  round.steps.resize(round.trials.size());
  on_lanes(distinct(round.lanes), [&](std::size_t lane) {
    std::vector<std::size_t> where;
    for (std::size_t i = 0; i < round.trials.size(); ++i) {
      if (round.lanes[i] == lane) where.push_back(i);
    }
    const auto results = lanes_[lane]->collect();
    for (std::size_t k = 0; k < where.size(); ++k) round.steps[where[k]] = results[k];
  });
  for (std::size_t i = 0; i < round.trials.size(); ++i) {
    Trial& trial = state_.trial(round.trials[i]);
    trial.step = round.steps[i].step;
    trial.tokens += round.steps[i].tokens;
    round.tokens.push_back(trial.tokens);
    note_round(trial.rounds, round.number);
    if (round.steps[i].finite) trial.train_loss = round.steps[i].train_loss;
    if (!is_listed(trial.id)) continue;
    ++state_.steps;
    state_.tokens += round.steps[i].tokens;
  }
  std::vector<const Trial*> trials;
  for (const TrialId id : round.trials) trials.push_back(&state_.trial(id));
  for (auto* observer : observers_) observer->on_steps(round.steps, trials);
}

// Waits for every step under way. They have to be logged before a trial ends, and their results come in order.
void Study::collect_all() {
  for (StudyRound& round : state_.in_flight) {
    if (!round.collected) collect_steps(round);
  }
}

}  // namespace finetune
