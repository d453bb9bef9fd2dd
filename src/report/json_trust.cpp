#include <cmath>

#include "report/json_parts.h"

namespace finetune {
namespace {

using TrustJson = nlohmann::ordered_json;

void demand(bool sane, const char* what) {
  if (!sane) throw bad_input("", std::string("impossible ") + what);
}

std::optional<std::int64_t> optional_trial(const TrustJson& json) {
  if (json.is_null()) return std::nullopt;
  return whole_number(json);
}

TrustJson confirmed_json(const ConfirmedFact& fact) {
  return {{"trial", fact.trial},
          {"metrics", list_json(fact.metrics, number_to_json)},
          {"mean", number_to_json(fact.mean)},
          {"standard_error", optional_json(fact.standard_error)}};
}
ConfirmedFact confirmed_from(const TrustJson& json) {
  ConfirmedFact fact;
  fact.trial = whole_number(json.at("trial"));
  read_list(json, "metrics", fact.metrics, number_from_json);
  fact.mean = number_from_json(json.at("mean"));
  fact.standard_error = optional_number(json.at("standard_error"));
  demand(!fact.standard_error || *fact.standard_error >= 0, "standard error");
  return fact;
}

TrustJson comparison_json(const ComparisonFact& fact) {
  return {{"other", fact.other ? TrustJson(*fact.other) : TrustJson(nullptr)},
          {"difference", number_to_json(fact.difference)},
          {"low", number_to_json(fact.low)},
          {"high", number_to_json(fact.high)},
          {"examples", fact.examples}};
}
ComparisonFact comparison_from(const TrustJson& json) {
  ComparisonFact fact;
  fact.other = optional_trial(json.at("other"));
  fact.difference = number_from_json(json.at("difference"));
  fact.low = number_from_json(json.at("low"));
  fact.high = number_from_json(json.at("high"));
  fact.examples = whole_number(json.at("examples"));
  demand(std::isfinite(fact.difference) && std::isfinite(fact.low) && std::isfinite(fact.high) &&
             fact.low <= fact.high && fact.examples > 0,
         "comparison of trials");
  return fact;
}

// The value of the path's beginning is all defaults: no parameter, no value.
TrustJson ablation_json(const AblationFact& fact) {
  TrustJson json = {{"parameter", fact.parameter}};
  if (!fact.parameter.empty()) json["value"] = to_json(fact.value);
  json["metric"] = optional_json(fact.metric);
  return json;
}
AblationFact ablation_from(const TrustJson& json) {
  AblationFact fact;
  fact.parameter = json.at("parameter").get<std::string>();
  if (!fact.parameter.empty()) fact.value = value_from_json(json.at("value"));
  fact.metric = optional_number(json.at("metric"));
  return fact;
}

TrustJson sample_json(const SampleFact& fact) {
  return {{"prompt", fact.prompt}, {"reference", fact.reference}, {"base", fact.base}, {"best", fact.best}};
}
SampleFact sample_from(const TrustJson& json) {
  SampleFact fact;
  fact.prompt = json.at("prompt").get<std::string>();
  fact.reference = json.at("reference").get<std::string>();
  fact.base = json.at("base").get<std::string>();
  fact.best = json.at("best").get<std::string>();
  return fact;
}

HintFact hint_from(const TrustJson& json) {
  HintFact fact;
  fact.text = json.at("text").get<std::string>();
  fact.evidence = json.at("evidence").get<std::string>();
  return fact;
}

AuditFact audit_from(const TrustJson& json) {
  const AuditFact fact{whole_number(json.at("trials")), whole_number(json.at("would_have_won"))};
  demand(fact.would_have_won >= 0 && fact.would_have_won <= fact.trials, "audit");
  return fact;
}

TestFact test_from(const TrustJson& json) {
  TestFact fact;
  fact.best = optional_number(json.at("best"));
  fact.default_run = optional_number(json.at("default"));
  fact.base = optional_number(json.at("base"));
  return fact;
}

TrustJson agreement_json(const CorrelationFact& fact) {
  return {
      {"early", fact.early}, {"late", fact.late}, {"trials", fact.trials}, {"spearman", number_to_json(fact.spearman)}};
}
CorrelationFact agreement_from(const TrustJson& json) {
  CorrelationFact fact;
  fact.early = whole_number(json.at("early"));
  fact.late = whole_number(json.at("late"));
  const std::int64_t trials = whole_number(json.at("trials"));
  fact.spearman = number_from_json(json.at("spearman"));
  demand(trials >= 0 && std::fabs(fact.spearman) <= 1, "rank correlation");
  fact.trials = static_cast<std::size_t>(trials);
  return fact;
}

template <typename List, typename To>
void add_list(TrustJson& json, const char* key, const List& list, To&& to) {
  if (!list.empty()) json[key] = list_json(list, to);
}

}  // namespace

void add_trust(TrustJson& json, const ReportFacts& study) {
  if (!study.confirmation.empty()) json["confirmation"] = study.confirmation;
  add_list(json, "confirmed", study.confirmed, confirmed_json);
  add_list(json, "comparisons", study.comparisons, comparison_json);
  if (study.test)
    json["test"] = {{"best", optional_json(study.test->best)},
                    {"default", optional_json(study.test->default_run)},
                    {"base", optional_json(study.test->base)}};
  if (study.audit) json["audit"] = {{"trials", study.audit->trials}, {"would_have_won", study.audit->would_have_won}};
  if (!study.rung_metric.empty()) json["rung_metric"] = study.rung_metric;
  if (study.rung_agreement) json["rung_agreement"] = agreement_json(*study.rung_agreement);
  if (!study.guarded_levels.empty()) json["guarded_levels"] = study.guarded_levels;
  if (!study.look_failure.empty()) json["last_look"] = study.look_failure;
  if (study.judged_examples > 0) json["judged_examples"] = study.judged_examples;
  add_list(json, "ablation", study.ablation, ablation_json);
  add_list(json, "samples", study.samples, sample_json);
  add_list(json, "hints", study.hints, [](const HintFact& fact) {
    return TrustJson{{"text", fact.text}, {"evidence", fact.evidence}};
  });
}

void read_trust(const TrustJson& json, ReportFacts& study) {
  if (json.contains("confirmation")) study.confirmation = json["confirmation"].get<std::string>();
  read_list(json, "confirmed", study.confirmed, confirmed_from);
  read_list(json, "comparisons", study.comparisons, comparison_from);
  if (json.contains("test")) study.test = test_from(json["test"]);
  if (json.contains("audit")) study.audit = audit_from(json["audit"]);
  if (json.contains("rung_metric")) study.rung_metric = json["rung_metric"].get<std::string>();
  if (json.contains("rung_agreement")) study.rung_agreement = agreement_from(json["rung_agreement"]);
  read_list(json, "guarded_levels", study.guarded_levels, whole_number);
  if (json.contains("last_look")) study.look_failure = json["last_look"].get<std::string>();
  if (json.contains("judged_examples")) study.judged_examples = whole_number(json["judged_examples"]);
  read_list(json, "ablation", study.ablation, ablation_from);
  read_list(json, "samples", study.samples, sample_from);
  read_list(json, "hints", study.hints, hint_from);
}

}  // namespace finetune
