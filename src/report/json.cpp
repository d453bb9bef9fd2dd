#include <cmath>

#include "core/metric.h"
#include "report/failures.h"
#include "report/json_parts.h"

namespace finetune {
namespace {

using Json = nlohmann::ordered_json;

Json parameter_json(const ParameterFacts& parameter) {
  Json json = {{"name", parameter.name}};
  if (!parameter.choices.empty()) {
    json["choices"] = Json::array();
    for (const Value& choice : parameter.choices) json["choices"].push_back(to_json(choice));
    if (parameter.ordinal) json["type"] = "ordinal";
  } else {
    json["low"] = number_to_json(parameter.low);
    json["high"] = number_to_json(parameter.high);
    json["log"] = parameter.log;
    json["int"] = parameter.integer;
    if (parameter.step) json["step"] = number_to_json(*parameter.step);
  }
  json["conditional"] = parameter.conditional;
  return json;
}
ParameterFacts parameter_from(const Json& json) {
  ParameterFacts parameter;  // member by member: g++ 12 destroys what was never made when one of a braced list throws
  parameter.name = json.at("name").get<std::string>();
  read_list(json, "choices", parameter.choices, [](const Json& choice) { return value_from_json(choice); });
  parameter.ordinal = json.value("type", std::string()) == "ordinal";
  parameter.conditional = json.at("conditional").get<bool>();
  if (!parameter.choices.empty()) return parameter;
  parameter.low = number_from_json(json.at("low"));
  parameter.high = number_from_json(json.at("high"));
  parameter.log = json.at("log").get<bool>();
  parameter.integer = json.at("int").get<bool>();
  if (json.contains("step")) parameter.step = number_from_json(json["step"]);
  const bool sane = std::isfinite(parameter.low) && std::isfinite(parameter.high) && parameter.low <= parameter.high &&
                    (!parameter.log || parameter.low > 0) && (!parameter.step || *parameter.step > 0);
  if (!sane) throw bad_input("", "an impossible range of " + parameter.name);
  return parameter;
}

Json lineage_json(const LineageFact& event) {
  Json json = {{"step", event.step}, {"do", event.copy_of ? "copy" : "change"}};
  if (event.copy_of) json["from"] = *event.copy_of;
  json["params"] = to_json(event.params);
  return json;
}
LineageFact lineage_from(const Json& json) {
  LineageFact event;
  event.step = json.at("step").get<std::int64_t>();
  if (json.contains("from")) event.copy_of = json["from"].get<std::int64_t>();
  event.params = params_from_json(json.at("params"));
  return event;
}

Json schedule_json(const ScheduleFact& change) {
  return {{"step", change.step}, {"params", to_json(change.params)}};
}
ScheduleFact schedule_from(const Json& json) {
  ScheduleFact change;
  change.step = json.at("step").get<std::int64_t>();
  change.params = params_from_json(json.at("params"));
  return change;
}

Json further_json(const std::vector<FurtherFact>& further) {
  Json json = Json::object();
  for (const FurtherFact& fact : further)
    json[fact.metric] = {{"value", number_to_json(fact.value)}, {"step", fact.step}};
  return json;
}
std::vector<FurtherFact> further_from(const Json& json) {
  std::vector<FurtherFact> further;
  for (const auto& [name, fact] : json.items())
    further.push_back({name, number_from_json(fact.at("value")), fact.at("step").get<std::int64_t>()});
  return further;
}

Json trial_json(const TrialFacts& trial) {
  Json json = {{"id", trial.id},         {"params", to_json(trial.params)},       {"state", trial.state},
               {"reason", trial.reason}, {"metric", optional_json(trial.metric)}, {"step", trial.step},
               {"steps", trial.steps}};
  if (!trial.rounds.empty())
    json["rounds"] = list_json(trial.rounds, [](const RoundFacts& span) { return Json{span.first, span.last}; });
  if (!trial.further.empty()) json["further_metrics"] = further_json(trial.further);
  if (!trial.lineage.empty()) json["lineage"] = list_json(trial.lineage, lineage_json);
  if (!trial.first.empty()) json["first_params"] = to_json(trial.first);
  return json;
}
TrialFacts trial_from(const Json& json) {
  TrialFacts trial;
  trial.id = json.at("id").get<std::int64_t>();
  trial.params = params_from_json(json.at("params"));
  trial.state = json.at("state").get<std::string>();
  trial.reason = json.at("reason").get<std::string>();
  trial.metric = optional_number(json.at("metric"));
  trial.step = json.at("step").get<std::int64_t>();
  trial.steps = json.at("steps").get<std::int64_t>();
  read_list(json, "rounds", trial.rounds, [](const Json& span) {
    const RoundFacts rounds{span.at(0).get<std::int64_t>(), span.at(1).get<std::int64_t>()};
    if (rounds.first < 1 || rounds.last < rounds.first) throw bad_input("", "impossible rounds of a trial");
    return rounds;
  });
  if (json.contains("further_metrics")) trial.further = further_from(json["further_metrics"]);
  read_list(json, "lineage", trial.lineage, lineage_from);
  if (json.contains("first_params")) trial.first = params_from_json(json["first_params"]);
  return trial;
}

Json best_json(const ReportFacts& study) {
  if (!study.best) return nullptr;
  const TrialFacts& best = study.trials[*study.best];
  Json json = {{"trial", best.id},
               {"params", to_json(best.params)},
               {"metric", optional_json(best.metric)},
               {"step", best.step}};
  if (!best.further.empty()) json["further_metrics"] = further_json(best.further);
  // Read again from metrics.jsonl, as curves are.
  for (const auto& [name, loss] : best.part_losses) json["valid_losses"][name] = number_to_json(loss);
  if (!study.best_schedule.empty()) json["schedule"] = list_json(study.best_schedule, schedule_json);
  return json;
}
void read_best(const Json& json, ReportFacts& study) {
  if (json.is_null()) return;
  const auto id = json.at("trial").get<std::int64_t>();
  for (std::size_t i = 0; i < study.trials.size(); ++i) {
    if (study.trials[i].id == id) study.best = i;
  }
  if (study.best && !study.trials[*study.best].metric) throw bad_input("", "the best trial has no metric");
  read_list(json, "schedule", study.best_schedule, schedule_from);
}

Json about_json(const ReportFacts& study) {
  Json json = {{"model", study.model},
               {"train_data", study.train_data},
               {"valid_data", study.valid_data},
               {"train_files", study.train_files},
               {"valid_files", study.valid_files},
               {"device", study.device},
               {"version", study.version},
               {"sampler", study.sampler},
               {"scheduler", study.scheduler},
               {"metric", study.metric},
               {"direction", to_text(study.direction)},
               {"method", study.full ? "full" : "lora"},
               {"objective", study.objective},
               {"full_steps", study.full_steps},
               {"rungs", study.rungs},
               {"interrupted", study.interrupted},
               {"stopped_by", study.stopped_by}};
  if (!study.test_files.empty()) json["test_files"] = study.test_files;
  if (!study.further.empty()) json["further_metrics"] = study.further;
  return json;
}
void read_about(const Json& json, ReportFacts& study) {
  const auto text = [&](const char* key) { return json.at(key).get<std::string>(); };
  const auto as_text = [](const Json& entry) { return entry.get<std::string>(); };
  study.model = text("model");
  study.train_data = text("train_data");
  study.valid_data = text("valid_data");
  read_list(json, "train_files", study.train_files, as_text);
  read_list(json, "valid_files", study.valid_files, as_text);
  read_list(json, "test_files", study.test_files, as_text);
  read_list(json, "further_metrics", study.further, as_text);
  study.device = text("device");
  study.version = text("version");
  study.sampler = text("sampler");
  study.scheduler = text("scheduler");
  study.metric = text("metric");
  study.direction = text("direction") == "maximize" ? Direction::maximize : Direction::minimize;
  study.full = json.value("method", std::string("lora")) == "full";
  study.objective = json.value("objective", std::string("sft"));
  study.full_steps = json.at("full_steps").get<std::int64_t>();
  read_list(json, "rungs", study.rungs, [](const Json& rung) { return rung.get<std::int64_t>(); });
  study.interrupted = json.at("interrupted").get<bool>();
  study.stopped_by = text("stopped_by");
}

// What a clock measured stands here alone, so that a study that was gone on with has the same report but for this.
Json cost_json(const ReportFacts& study) {
  Json json = {{"seconds", study.seconds}};
  if (study.evaluation_seconds) json["evaluation_seconds"] = *study.evaluation_seconds;
  json["steps"] = study.steps;
  json["tokens"] = study.tokens;
  json["saved_steps"] = study.saved_steps;
  if (study.profile) json["profile"] = to_json(*study.profile);
  return json;
}
void read_cost(const Json& json, ReportFacts& study) {
  study.seconds = json.at("seconds").get<double>();
  if (json.contains("evaluation_seconds")) study.evaluation_seconds = json["evaluation_seconds"].get<double>();
  study.steps = json.at("steps").get<std::int64_t>();
  study.tokens = json.at("tokens").get<std::int64_t>();
  study.saved_steps = json.at("saved_steps").get<std::int64_t>();
  if (json.contains("profile")) study.profile = profile_from_json(json["profile"]);
}

// What analyze() found: it is not read back, since it is computed from the curves again.
void add_analysis(Json& json, const ReportFacts& study) {
  json["importance"] = Json::object();
  json["ped_anova"] = Json::object();
  for (const ImportanceFact& fact : study.importance) {
    json["importance"][fact.parameter] = number_to_json(fact.share);
    json["ped_anova"][fact.parameter] = number_to_json(fact.ped_anova);
  }
  json["importance_step"] = study.compared_step;
  json["interactions"] = list_json(study.interactions, [](const InteractionFact& pair) {
    return Json{{"parameters", {pair.first, pair.second}}, {"share", number_to_json(pair.share)}};
  });
  json["budget_correlation"] = list_json(study.correlations, [](const CorrelationFact& fact) {
    return Json{{"early", fact.early},
                {"late", fact.late},
                {"trials", fact.trials},
                {"spearman", number_to_json(fact.spearman)}};
  });
}

}  // namespace

Json report_json(const ReportFacts& study) {
  Json json;
  json["best"] = best_json(study);
  json["baselines"] = {{"base", {{"metric", optional_json(study.base_metric)}}},
                       {"default",
                        {{"metric", optional_json(study.default_metric)},
                         {"params", to_json(study.default_params)},
                         {"failure", study.default_failure}}}};
  json["trials"] = list_json(study.trials, trial_json);
  json["cost"] = cost_json(study);
  add_trust(json, study);
  add_analysis(json, study);
  json["hint"] = failure_hint(study);
  json["search"] = list_json(study.search, parameter_json);
  json["study"] = about_json(study);
  json["provenance"] = Json::object();
  for (const auto& [name, value] : study.provenance) json["provenance"][name] = value;
  return json;
}

ReportFacts facts_from_json(const std::string& where, const Json& json) {
  try {
    ReportFacts study;
    for (const auto& trial : json.at("trials")) study.trials.push_back(trial_from(trial));
    read_best(json.at("best"), study);
    const Json& baselines = json.at("baselines");
    study.base_metric = optional_number(baselines.at("base").at("metric"));
    study.default_metric = optional_number(baselines.at("default").at("metric"));
    study.default_params = params_from_json(baselines.at("default").at("params"));
    study.default_failure = baselines.at("default").value("failure", std::string());
    read_cost(json.at("cost"), study);
    read_trust(json, study);
    read_list(json, "search", study.search, parameter_from);
    read_about(json.at("study"), study);
    if (json.contains("provenance")) {
      for (const auto& [name, value] : json["provenance"].items())
        study.provenance.emplace_back(name, value.get<std::string>());
    }
    return study;
  } catch (const nlohmann::json::exception& error) {
    throw bad_input(where, std::string("is not a report of a study: ") + error.what());
  } catch (const Error& error) {
    throw bad_input(where, std::string("is not a report of a study: ") + error.what());
  }
}

}  // namespace finetune
