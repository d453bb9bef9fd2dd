#include "report/summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/metric.h"
#include "core/number.h"
#include "core/text.h"
#include "report/failures.h"

namespace finetune {
namespace {

using Json = nlohmann::ordered_json;

Json optional_json(const std::optional<double>& value) {
  return value ? number_to_json(*value) : Json(nullptr);
}

std::optional<double> optional_number(const Json& json) {
  if (json.is_null()) return std::nullopt;
  return number_from_json(json);
}

Json trial_json(const TrialSummary& trial) {
  return {{"id", trial.id},         {"params", to_json(trial.params)},       {"state", trial.state},
          {"reason", trial.reason}, {"metric", optional_json(trial.metric)}, {"step", trial.step},
          {"steps", trial.steps}};
}

}  // namespace

bool all_failed(const StudySummary& study) {
  return !study.trials.empty() && std::all_of(study.trials.begin(), study.trials.end(),
                                              [](const TrialSummary& trial) { return trial.state == "failed"; });
}

Json report_json(const StudySummary& study) {
  Json json;
  json["best"] = nullptr;
  if (study.best) {
    const TrialSummary& best = study.trials[*study.best];
    json["best"] = {{"trial", best.id},
                    {"params", to_json(best.params)},
                    {"metric", optional_json(best.metric)},
                    {"step", best.step}};
  }
  json["baselines"] = {{"base", {{"metric", optional_json(study.base_metric)}}},
                       {"default",
                        {{"metric", optional_json(study.default_metric)},
                         {"params", to_json(study.default_params)},
                         {"failure", study.default_failure}}}};
  json["trials"] = Json::array();
  for (const auto& trial : study.trials) json["trials"].push_back(trial_json(trial));
  json["cost"] = {
      {"seconds", study.seconds}, {"steps", study.steps}, {"tokens", study.tokens}, {"saved_steps", study.saved_steps}};
  json["importance"] = Json::object();
  for (const auto& [name, share] : study.importance) json["importance"][name] = number_to_json(share);
  json["importance_step"] = study.compared_step;
  json["hint"] = failure_hint(study);
  json["study"] = {{"model", study.model},
                   {"train_data", study.train_data},
                   {"valid_data", study.valid_data},
                   {"device", study.device},
                   {"version", study.version},
                   {"sampler", study.sampler},
                   {"scheduler", study.scheduler},
                   {"metric", study.metric},
                   {"direction", to_text(study.direction)},
                   {"method", study.full ? "full" : "lora"},
                   {"full_steps", study.full_steps},
                   {"interrupted", study.interrupted},
                   {"stopped_by", study.stopped_by}};
  return json;
}

StudySummary summary_from_json(const std::string& where, const Json& json) {
  try {
    StudySummary study;
    for (const auto& t : json.at("trials")) {
      study.trials.push_back({.id = t.at("id").get<std::int64_t>(),
                              .params = params_from_json(t.at("params")),
                              .state = t.at("state").get<std::string>(),
                              .reason = t.at("reason").get<std::string>(),
                              .metric = optional_number(t.at("metric")),
                              .step = t.at("step").get<std::int64_t>(),
                              .steps = t.at("steps").get<std::int64_t>()});
    }
    if (!json.at("best").is_null()) {
      const auto id = json["best"].at("trial").get<std::int64_t>();
      for (std::size_t i = 0; i < study.trials.size(); ++i) {
        if (study.trials[i].id == id) study.best = i;
      }
    }
    const Json& baselines = json.at("baselines");
    study.base_metric = optional_number(baselines.at("base").at("metric"));
    study.default_metric = optional_number(baselines.at("default").at("metric"));
    study.default_params = params_from_json(baselines.at("default").at("params"));
    study.default_failure = baselines.at("default").value("failure", std::string());
    const Json& cost = json.at("cost");
    study.seconds = cost.at("seconds").get<double>();
    study.steps = cost.at("steps").get<std::int64_t>();
    study.tokens = cost.at("tokens").get<std::int64_t>();
    study.saved_steps = cost.at("saved_steps").get<std::int64_t>();
    for (const auto& [name, share] : json.at("importance").items())
      study.importance.emplace_back(name, number_from_json(share));
    study.compared_step = json.value("importance_step", std::int64_t{0});
    const Json& about = json.at("study");
    const auto text = [&](const char* key) { return about.at(key).get<std::string>(); };
    study.model = text("model");
    study.train_data = text("train_data");
    study.valid_data = text("valid_data");
    study.device = text("device");
    study.version = text("version");
    study.sampler = text("sampler");
    study.scheduler = text("scheduler");
    study.metric = text("metric");
    study.direction = text("direction") == "maximize" ? Direction::maximize : Direction::minimize;
    study.full = about.value("method", std::string("lora")) == "full";
    study.full_steps = about.at("full_steps").get<std::int64_t>();
    study.interrupted = about.at("interrupted").get<bool>();
    study.stopped_by = text("stopped_by");
    return study;
  } catch (const nlohmann::json::exception& error) {
    throw bad_input(where, std::string("is not a report of a study: ") + error.what());
  }
}

static std::string on_winner(const StudySummary& study) {
  if (!study.best) return "No trial was evaluated, so there is no winner.";
  const TrialSummary& best = study.trials[*study.best];
  const double sign = study.direction == Direction::minimize ? 1 : -1;
  std::string text =
      fmt::format("Trial {} is best: {} = {:.5g} at step {}.", best.id, study.metric, *best.metric, best.step);
  const bool base_is_better = study.base_metric && sign * (*study.base_metric - *best.metric) <= 0;
  if (study.base_metric) text += fmt::format(" The untouched base has {:.5g}.", *study.base_metric);
  if (base_is_better) text += " Training did not improve it: look at learning rates, steps and data.";
  if (!study.default_failure.empty()) text += " The default configuration failed: " + study.default_failure + ".";
  if (!study.default_metric) return text;
  const double gain = sign * (*study.default_metric - *best.metric);
  text += fmt::format(" The default configuration reaches {:.5g}", *study.default_metric);
  const double relative = std::fabs(*study.default_metric) > 0 ? gain / std::fabs(*study.default_metric) : 0;
  if (gain <= 0) return text + (base_is_better ? "." : ", which no trial beats: use the defaults, or search longer.");
  const double percent = 100 * relative;
  text += fmt::format("; the best is {} % {}.",
                      percent < 100 ? fmt::format("{:.2g}", percent) : fmt::format("{:.0f}", percent),
                      study.direction == Direction::minimize ? "below" : "above");
  if (relative < 0.005) text += " That is within what another seed may change: do not read much into it.";
  return text;
}

std::string verdict(const StudySummary& study) {
  const std::string hint = failure_hint(study);
  if (all_failed(study)) return "Every trial failed, so there is no winner: " + hint + ".";
  return on_winner(study) + (hint.empty() ? "" : " " + hint + ".");
}

}  // namespace finetune
