#include "study/run_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/files.h"
#include "core/folders.h"
#include "core/metric.h"
#include "core/number.h"
#include "core/strict_json.h"
#include "core/text.h"

namespace finetune {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char *kMetrics = "metrics.jsonl", *kTrial = "trial.json", *kSchedule = "schedule.json";

// "trials/000007/trial.json"
std::string name_of(const Trial& trial, const char* file) {
  return (trial_folder({}, trial.id.value) / file).string();
}

// A schedule that `replay` can follow: the first values as those of step 0, and what changed after a step.
std::string schedule_json(const Trial& trial) {
  Json list = Json::array({{{"step", 0}, {"params", to_json(trial.origin)}}});
  for (const auto& change : trial.schedule) list.push_back({{"step", change.step}, {"params", to_json(change.params)}});
  return list.dump(1) + "\n";
}

std::string trial_json(const Trial& trial) {
  const Json json = {{"id", trial.id.value},
                     {"params", to_json(trial.params)},
                     {"state", to_text(trial.state)},
                     {"reason", trial.reason},
                     {"lineage", lineage_json(trial)}};
  return json.dump(1) + "\n";
}

bool has_ended(const Trial& trial) {
  return trial.state != TrialState::running && trial.state != TrialState::paused;
}

// What stands there of a trial that has ended is nothing but a function of the trial, so no hash is needed.
void require_same(const std::filesystem::path& path, const std::string& content) {
  if (!std::filesystem::exists(path)) throw bad_input(path.string(), "is gone, though the trial has ended");
  if (std::filesystem::file_size(path) != content.size() || read_file(path) != content)
    throw bad_input(path.string(), "is no longer what was saved of the trial");
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

std::string step_line(const StepResult& result, std::int64_t cumulative_tokens) {
  const Json line = {{"step", result.step},
                     {"train_loss", number_to_json(result.train_loss)},
                     {"learning_rate", number_to_json(result.learning_rate)},
                     {"grad_norm", number_to_json(result.gradient_norm)},
                     {"tokens", cumulative_tokens}};
  return line.dump() + "\n";
}

std::string evaluation_line(std::int64_t step, const EvalResult& result, std::span<const Metric> wanted) {
  Json line = {{"step", step}};
  for (const auto& [name, value] : logged_values(wanted, result)) line[name] = number_to_json(value);
  return line.dump() + "\n";
}

std::filesystem::path trial_folder(const std::filesystem::path& run, std::int64_t id) {
  return run / "trials" / fmt::format("{:06}", id);
}

std::optional<std::int64_t> trial_of_folder(const std::filesystem::path& folder) {
  const std::string name = folder.filename().string();
  const bool digits = name.size() >= 6 && name.size() < 16 && name.find_first_not_of("0123456789") == std::string::npos;
  return digits ? std::optional<std::int64_t>(std::stoll(name)) : std::nullopt;
}

void remove_trials(const std::filesystem::path& parent, const std::vector<std::string>& names,
                   const std::function<bool(std::int64_t id)>& never_ran, const OnDiskFault& on_fault) {
  if (!std::filesystem::exists(parent)) return;
  std::vector<std::filesystem::path> folders;
  for (const auto& entry : std::filesystem::directory_iterator(parent)) {
    const auto id = trial_of_folder(entry.path());
    if (id && never_ran(*id)) folders.push_back(entry.path());
  }
  for (const auto& folder : folders) {
    for (const std::string& name : names) remove_file(folder / name, on_fault);
    if (std::filesystem::is_empty(folder)) remove_tree(folder, on_fault);  // what a user put there stays
  }
}

void TrialWriter::on_start(const Trial& trial) {
  if (is_listed(trial.id)) files_.create(name_of(trial, kMetrics));
}

// Its lines so far are there already, where there are any.
void TrialWriter::on_take_up(const Trial& trial) {
  if (files_.find(name_of(trial, kMetrics)) == nullptr) on_start(trial);
}

void TrialWriter::on_resume(const StudyState& state) {
  const auto& run = files_.run();
  const auto is_new = [&](std::int64_t id) { return id >= std::ssize(state.trials); };
  remove_trials(run / "trials", {kMetrics, kTrial, kSchedule}, is_new, files_.on_fault());
  for (const Trial& trial : state.trials) {
    if (has_ended(trial) || trial.elsewhere) continue;
    for (const char* name : {kTrial, kSchedule}) remove_file(run / name_of(trial, name), files_.on_fault());
  }
}

void TrialWriter::on_steps(std::span<const StepResult> results, std::span<const Trial* const> trials) {
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (AppendFile* file = files_.find(name_of(*trials[i], kMetrics)))
      file->add(step_line(results[i], trials[i]->tokens));
  }
}

void TrialWriter::on_evaluation(const Trial& trial, const EvalResult& result, const MetricValues&) {
  if (AppendFile* file = files_.find(name_of(trial, kMetrics))) file->add(evaluation_line(trial.step, result, wanted_));
}

void TrialWriter::on_end(const Trial& trial) {
  if (!is_listed(trial.id)) return;
  files_.close(name_of(trial, kMetrics));
  const auto write = [&](const char* name, const std::string& content) {
    write_file_atomically(files_.run() / name_of(trial, name), content, files_.on_fault());
  };
  if (!trial.schedule.empty()) write(kSchedule, schedule_json(trial));
  write(kTrial, trial_json(trial));
}

void require_trial_files(const std::filesystem::path& run, const StudyState& state) {
  for (const Trial& trial : state.trials) {
    if (!has_ended(trial) || trial.elsewhere) continue;
    require_same(run / name_of(trial, kTrial), trial_json(trial));
    const auto schedule = run / name_of(trial, kSchedule);
    if (!trial.schedule.empty())
      require_same(schedule, schedule_json(trial));
    else if (std::filesystem::exists(schedule))
      throw bad_input(schedule.string(), "was not there when the trial ended: its hyperparameters never changed");
  }
}

namespace {

// At the step of the trial's metric, else the last that there is.
void take_further(const Json& line, std::int64_t step, const ReportFacts& study, TrialFacts& trial) {
  for (const std::string& name : study.further) {
    if (!line.contains(name)) continue;
    const double value = number_from_json(line[name]);
    if (!std::isfinite(value)) continue;
    const auto found = std::ranges::find(trial.further, name, &FurtherFact::metric);
    if (found == trial.further.end())
      trial.further.push_back({name, value, step});
    else if (found->step != trial.step)
      *found = {name, value, step};
  }
}

}  // namespace

// Losses of parts of the validation data, where the best evaluation was.
static void read_parts(const Json& line, TrialFacts& trial) {
  const std::string before = kPartLoss;
  for (const auto& [key, value] : line.items()) {
    if (key.starts_with(before)) trial.part_losses.emplace_back(key.substr(before.size()), number_from_json(value));
  }
}

void read_curves(const std::filesystem::path& run, ReportFacts& study) {
  for (auto& trial : study.trials) {
    const auto path = trial_folder(run, trial.id) / "metrics.jsonl";
    if (!std::filesystem::exists(path)) continue;
    trial.further.clear();
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
      take_further(json, step, study, trial);
      if (!study.rung_metric.empty() && json.contains(study.rung_metric))
        trial.compared.push_back({step, number_from_json(json[study.rung_metric])});
      if (trial.metric && step == trial.step) read_parts(json, trial);
    }
  }
}

void find_results(const std::filesystem::path& run, ReportFacts& study) {
  study.folder = run.string();
  study.best_weights = BestWeights::none;
  if (std::filesystem::exists(run / "best" / "adapter_config.json")) study.best_weights = BestWeights::adapter;
  if (std::filesystem::exists(run / "best" / "config.json")) study.best_weights = BestWeights::model;
  study.can_resume = study.interrupted && std::filesystem::exists(run / "saves");
  study.has_best_yaml = std::filesystem::exists(run / "best.yaml");
}

ReportFacts read_report(const std::filesystem::path& run) {
  const std::string where = (run / "report.json").string();
  if (!std::filesystem::exists(where))
    throw bad_input(where, "does not exist: this is no tuning run, or one that was cut off before its end");
  ReportFacts study = facts_from_json(where, read_json_file(where));
  read_curves(run, study);
  analyze(study);
  find_results(run, study);
  return study;
}

void write_reports(const std::filesystem::path& run, const ReportFacts& study, const OnDiskFault& on_fault) {
  write_file_atomically(run / "report.md", report_markdown(study), on_fault);
  write_file_atomically(run / "report.html", report_html(study), on_fault);
  write_file_atomically(run / "report.json", report_json(study).dump(1) + "\n", on_fault);
}

}  // namespace finetune
