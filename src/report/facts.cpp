#include "report/facts.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "report/bootstrap.h"
#include "report/correlation.h"
#include "report/hints.h"
#include "report/parameters.h"

namespace finetune {
namespace {

// What a model writes may end within a character, which neither JSON nor a page holds.
std::string as_unicode(const std::string& text) {
  using nlohmann::json;
  return json::parse(json(text).dump(-1, ' ', false, json::error_handler_t::replace)).get<std::string>();
}

}  // namespace

bool all_failed(const ReportFacts& study) {
  return !study.trials.empty() &&
         std::ranges::all_of(study.trials, [](const TrialFacts& trial) { return trial.state == "failed"; });
}

bool base_is_reference(const ReportFacts& study) {
  const bool has_reference = study.objective == "dpo" || study.objective == "kto";
  return has_reference && (study.metric == "preference_accuracy" || study.metric == "reward_margin");
}

void analyze(ReportFacts& study) {
  study.compared_step = comparable_step(study.trials);
  compare_parameters(study);
  study.correlations = budget_correlations(study.trials);
  const auto has_compared = [](const TrialFacts& trial) { return !trial.compared.empty(); };
  if (std::ranges::any_of(study.trials, has_compared)) study.rung_agreement = agreement_at_rungs(study);
  if (!study.judged.empty()) {
    study.judged_examples = std::ssize(study.judged.front().examples);
    study.comparisons = compare_judged(study);
  }
  for (SampleFact& sample : study.samples) {
    for (std::string* text : {&sample.prompt, &sample.reference, &sample.base, &sample.best}) *text = as_unicode(*text);
  }
  study.hints = hints_of(study);  // last: they read all of the above
}

}  // namespace finetune
