#include "host/trial_facts.h"

namespace finetune {

TrialFacts trial_facts(const Trial& trial) {
  TrialFacts facts;
  facts.id = trial.id.value;
  facts.params = trial.params;
  facts.state = to_text(trial.state);
  facts.reason = trial.reason;
  facts.metric = trial.best_metric;
  facts.step = trial.best_step;
  facts.steps = trial.step;
  for (const LineageEvent& event : trial.lineage) {
    LineageFact fact{.step = event.step, .copy_of = {}, .params = event.params};
    if (event.what == Action::Do::copy) fact.copy_of = event.from.value;
    facts.lineage.push_back(std::move(fact));
  }
  if (!facts.lineage.empty()) facts.first = trial.first;
  for (const RoundSpan& span : trial.rounds) facts.rounds.push_back({span.first, span.last});
  return facts;
}

std::vector<ScheduleFact> schedule_facts(const Trial& trial) {
  std::vector<ScheduleFact> schedule{{0, trial.best_origin}};
  for (const HyperparameterChange& change : trial.best_schedule) schedule.push_back({change.step, change.params});
  return schedule;
}

std::vector<ParameterFacts> search_facts(const SearchSpace& space) {
  std::vector<ParameterFacts> search;
  for (const ParameterSpec& spec : space.parameters) {
    ParameterFacts facts;
    facts.name = spec.name;
    facts.choices = spec.choices;
    facts.ordinal = spec.ordinal;
    facts.low = spec.low;
    facts.high = spec.high;
    facts.log = spec.log;
    facts.integer = spec.integer;
    facts.step = spec.step;
    facts.conditional = !spec.when.empty();
    search.push_back(std::move(facts));
  }
  return search;
}

}  // namespace finetune
