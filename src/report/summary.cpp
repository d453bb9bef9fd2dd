#include "report/summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/number.h"
#include "core/text.h"

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

// Groups of values: equal choices, or thirds of the range for numbers with many values.
std::map<std::string, std::vector<double>> grouped(const std::vector<const TrialSummary*>& trials,
                                                   const std::string& name) {
  std::vector<double> numbers;
  std::map<std::string, std::vector<double>> by_value;
  for (const auto* trial : trials) {
    const Value* value = find_param(trial->params, name);
    if (value == nullptr) continue;
    by_value[to_text(*value)].push_back(*trial->metric);
    if (!std::holds_alternative<std::string>(*value)) numbers.push_back(as_number(*value));
  }
  if (by_value.size() <= 4 || numbers.empty()) return by_value;
  std::sort(numbers.begin(), numbers.end());
  std::map<std::string, std::vector<double>> thirds;
  for (const auto* trial : trials) {
    const Value* value = find_param(trial->params, name);
    if (value == nullptr) continue;
    const auto rank = std::lower_bound(numbers.begin(), numbers.end(), as_number(*value)) - numbers.begin();
    thirds[std::to_string(3 * static_cast<std::size_t>(rank) / numbers.size())].push_back(*trial->metric);
  }
  return thirds;
}

double mean_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

}  // namespace

std::vector<std::pair<std::string, double>> importance_of(const std::vector<TrialSummary>& trials) {
  std::vector<const TrialSummary*> measured;
  std::vector<double> all;
  for (const auto& trial : trials) {
    if (!trial.metric || !std::isfinite(*trial.metric)) continue;
    measured.push_back(&trial);
    all.push_back(*trial.metric);
  }
  if (measured.size() < 5) return {};
  const double mean = mean_of(all);
  double total = 0;
  for (const double value : all) total += (value - mean) * (value - mean);
  std::vector<std::pair<std::string, double>> shares;
  for (const auto& [name, unused] : measured.front()->params) {
    double between = 0;
    for (const auto& [group, values] : grouped(measured, name)) {
      const double difference = mean_of(values) - mean;
      between += static_cast<double>(values.size()) * difference * difference;
    }
    shares.emplace_back(name, total > 0 ? between / total : 0);
  }
  std::stable_sort(shares.begin(), shares.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  return shares;
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
  json["baselines"] = {
      {"base", {{"metric", optional_json(study.base_metric)}}},
      {"default", {{"metric", optional_json(study.default_metric)}, {"params", to_json(study.default_params)}}}};
  json["trials"] = Json::array();
  for (const auto& trial : study.trials) json["trials"].push_back(trial_json(trial));
  json["cost"] = {
      {"seconds", study.seconds}, {"steps", study.steps}, {"tokens", study.tokens}, {"saved_steps", study.saved_steps}};
  json["importance"] = Json::object();
  for (const auto& [name, share] : study.importance) json["importance"][name] = number_to_json(share);
  json["study"] = {{"model", study.model},
                   {"train_data", study.train_data},
                   {"valid_data", study.valid_data},
                   {"device", study.device},
                   {"version", study.version},
                   {"sampler", study.sampler},
                   {"scheduler", study.scheduler},
                   {"metric", study.metric},
                   {"direction", study.direction == Direction::minimize ? "minimize" : "maximize"},
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
    const Json& cost = json.at("cost");
    study.seconds = cost.at("seconds").get<double>();
    study.steps = cost.at("steps").get<std::int64_t>();
    study.tokens = cost.at("tokens").get<std::int64_t>();
    study.saved_steps = cost.at("saved_steps").get<std::int64_t>();
    for (const auto& [name, share] : json.at("importance").items())
      study.importance.emplace_back(name, number_from_json(share));
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
    study.full_steps = about.at("full_steps").get<std::int64_t>();
    study.interrupted = about.at("interrupted").get<bool>();
    study.stopped_by = text("stopped_by");
    return study;
  } catch (const nlohmann::json::exception& error) {
    throw bad_input(where, std::string("is not a report of a study: ") + error.what());
  }
}

std::string verdict(const StudySummary& study) {
  if (!study.best) return "No trial was evaluated, so there is no winner.";
  const TrialSummary& best = study.trials[*study.best];
  const double sign = study.direction == Direction::minimize ? 1 : -1;
  std::string text =
      fmt::format("Trial {} is best: {} = {:.5g} at step {}.", best.id, study.metric, *best.metric, best.step);
  if (study.base_metric) text += fmt::format(" The untouched base has {:.5g}.", *study.base_metric);
  if (!study.default_metric) return text;
  const double gain = sign * (*study.default_metric - *best.metric);
  text += fmt::format(" The default configuration reaches {:.5g}", *study.default_metric);
  const double relative = std::fabs(*study.default_metric) > 0 ? gain / std::fabs(*study.default_metric) : 0;
  if (gain <= 0) return text + ", which no trial beats: use the defaults, or search longer.";
  text += fmt::format(", {:.2g} % worse.", 100 * relative);
  if (relative < 0.005) text += " That is within what another seed may change: do not read much into it.";
  return text;
}

std::string report_text(const StudySummary& study, const std::string& folder) {
  std::string text = verdict(study) + "\n";
  if (study.best) {
    for (const auto& [name, value] : study.trials[*study.best].params)
      text += fmt::format("  {} = {}\n", name, to_text(value));
  }
  std::map<std::string, int> states;
  for (const auto& trial : study.trials) ++states[trial.state];
  text += fmt::format("{} trials", study.trials.size());
  for (const auto& [state, count] : states) text += fmt::format(", {} {}", count, state);
  text += fmt::format("; {} steps ({} saved by stopping), {} tokens, {:.1f} s\n", with_commas(study.steps),
                      with_commas(study.saved_steps), with_commas(study.tokens), study.seconds);
  text += fmt::format(
      "adapter {0}/best   report {0}/report.html   again: finetune_tune train --config {0}/best.yaml --out NEW\n",
      folder);
  return text;
}

}  // namespace finetune
