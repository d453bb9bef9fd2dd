#include "study/run_folder.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/files.h"
#include "core/number.h"
#include "core/strict_json.h"
#include "core/text.h"

namespace finetune {
namespace {

using Json = nlohmann::ordered_json;

// A schedule that `replay` can follow: the first values as those of step 0, and what changed after a step.
std::string schedule_json(const Trial& trial) {
  Json list = Json::array({{{"step", 0}, {"params", to_json(trial.origin)}}});
  for (const auto& change : trial.schedule) list.push_back({{"step", change.step}, {"params", to_json(change.params)}});
  return list.dump(1) + "\n";
}

}  // namespace

nlohmann::ordered_json lineage_json(const Trial& trial) {
  Json list = Json::array();
  for (const auto& event : trial.lineage) {
    Json entry = {{"step", event.step}, {"do", to_text(event.what)}};
    if (event.what == Action::Do::copy) entry["from"] = event.from.value;
    entry["params"] = to_json(event.params);
    list.push_back(entry);
  }
  return list;
}

void MetricsFile::step(const StepResult& result, std::int64_t cumulative_tokens) {
  const Json line = {{"step", result.step},
                     {"train_loss", number_to_json(result.train_loss)},
                     {"learning_rate", number_to_json(result.learning_rate)},
                     {"grad_norm", number_to_json(result.gradient_norm)},
                     {"tokens", cumulative_tokens}};
  file_.add(line.dump() + "\n");
}

void MetricsFile::evaluation(std::int64_t step, const EvalResult& result, const Metric& metric) {
  const Metric& always = metrics().front();
  Json line = {{"step", step}};
  for (const Metric& one : {always, metric}) line[one.name] = number_to_json(one.of(result));
  file_.add(line.dump() + "\n");
}

std::filesystem::path trial_folder(const std::filesystem::path& run, std::int64_t id) {
  return run / "trials" / fmt::format("{:06}", id);
}

void TrialWriter::on_start(const Trial& trial) {
  if (trial.id.value < 0) return;
  const auto folder = trial_folder(folder_, trial.id.value);
  std::filesystem::create_directories(folder);
  files_[trial.id] = std::make_unique<MetricsFile>(folder / "metrics.jsonl");
}

void TrialWriter::on_steps(std::span<const StepResult> results, std::span<const Trial* const> trials) {
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (const auto file = files_.find(trials[i]->id); file != files_.end())
      file->second->step(results[i], trials[i]->tokens);
  }
}

void TrialWriter::on_evaluation(const Trial& trial, const EvalResult& result, double) {
  if (const auto file = files_.find(trial.id); file != files_.end())
    file->second->evaluation(trial.step, result, metric_);
}

void TrialWriter::on_end(const Trial& trial) {
  if (trial.id.value < 0) return;
  if (const auto file = files_.find(trial.id); file != files_.end()) {
    file->second->flush();
    files_.erase(file);
  }
  const Json json = {{"id", trial.id.value},
                     {"params", to_json(trial.params)},
                     {"state", to_text(trial.state)},
                     {"reason", trial.reason},
                     {"lineage", lineage_json(trial)}};
  const auto folder = trial_folder(folder_, trial.id.value);
  if (!trial.schedule.empty()) write_file_atomically(folder / "schedule.json", schedule_json(trial));
  write_file_atomically(folder / "trial.json", json.dump(1) + "\n");
}

void TrialWriter::on_round(std::int64_t) {
  for (auto& [id, file] : files_) file->flush();
}

void read_curves(const std::filesystem::path& run, StudySummary& study) {
  for (auto& trial : study.trials) {
    const auto path = trial_folder(run, trial.id) / "metrics.jsonl";
    if (!std::filesystem::exists(path)) continue;
    const std::string content = read_file(path);
    std::int64_t number = 0;
    for (const auto& line : split(content, '\n')) {
      ++number;
      if (line.empty()) continue;
      const std::string where = path.string() + ":" + std::to_string(number);
      const Json json = parse_strict_json(where, line, 4);
      if (!json.is_object() || !json.contains("step") || !json["step"].is_number_integer())
        throw bad_input(where, "is not a line of metrics");
      const auto step = json["step"].get<std::int64_t>();
      if (json.contains("train_loss")) trial.train_loss.push_back({step, number_from_json(json["train_loss"])});
      if (json.contains(study.metric)) trial.metrics.push_back({step, number_from_json(json[study.metric])});
    }
  }
}

void find_results(const std::filesystem::path& run, StudySummary& study) {
  study.folder = run.string();
  study.best_weights = BestWeights::none;
  if (std::filesystem::exists(run / "best" / "adapter_config.json")) study.best_weights = BestWeights::adapter;
  if (std::filesystem::exists(run / "best" / "config.json")) study.best_weights = BestWeights::model;
  study.has_best_yaml = std::filesystem::exists(run / "best.yaml");
}

void write_reports(const std::filesystem::path& run, const StudySummary& study) {
  write_file_atomically(run / "report.json", report_json(study).dump(1) + "\n");
  write_file_atomically(run / "report.md", report_markdown(study));
  write_file_atomically(run / "report.html", report_html(study));
}

}  // namespace finetune
