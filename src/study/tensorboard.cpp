#include "study/tensorboard.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "study/run_folder.h"

namespace finetune {
namespace {

// TensorBoard takes whatever has `tfevents` in its name.
constexpr const char *kFolder = "tensorboard", *kFileName = "events.out.tfevents.0.finetune_tune";

std::string folder_name(const Trial& trial) {
  return fmt::format("{:06}", trial.id.value);
}

// In the run's folder.
std::string name_of(const Trial& trial) {
  return fmt::format("{}/{}/{}", kFolder, folder_name(trial), kFileName);
}

double wall_time() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

HparamType type_of(const Value& value) {
  if (std::holds_alternative<std::string>(value)) return HparamType::text;
  return std::holds_alternative<bool>(value) ? HparamType::flag : HparamType::number;
}

HparamType type_of(const ParameterSpec& spec) {
  if (spec.choices.empty()) return HparamType::number;
  const HparamType first = type_of(spec.choices.front());
  const bool same = std::ranges::all_of(spec.choices, [&](const Value& value) { return type_of(value) == first; });
  return same ? first : HparamType::mixed;
}

}  // namespace

TensorBoardWriter::TensorBoardWriter(RunFiles& files, const SearchSpace& space, std::vector<Metric> wanted)
    : files_(files), wanted_(std::move(wanted)) {
  for (const ParameterSpec& spec : space.parameters) hparams_.emplace_back(spec.name, type_of(spec));
}

AppendFile* TensorBoardWriter::file_of(const Trial& trial) {
  return !is_listed(trial.id) ? nullptr : files_.find(name_of(trial));
}

void TensorBoardWriter::on_start(const Trial& trial) {
  if (!is_listed(trial.id)) return;
  AppendFile& file = files_.create(name_of(trial));
  const double now = wall_time();
  std::vector<std::string> tags{metrics().front().name};
  for (const Metric& metric : wanted_) {
    if (metric.name != tags.front()) tags.emplace_back(metric.name);
  }
  file.add(version_record(now));
  file.add(hparams_experiment_record(now, hparams_, tags));
  file.add(hparams_start_record(now, trial.params, folder_name(trial)));
}

void TensorBoardWriter::on_resume(const StudyState& state) {
  const auto is_new = [&](std::int64_t id) { return id >= std::ssize(state.trials); };
  remove_trials(files_.run() / kFolder, {kFileName}, is_new, files_.on_fault());
}

void TensorBoardWriter::on_steps(std::span<const StepResult> results, std::span<const Trial* const> trials) {
  const double now = wall_time();
  for (std::size_t i = 0; i < results.size(); ++i) {
    AppendFile* file = file_of(*trials[i]);
    if (file == nullptr) continue;
    const StepResult& step = results[i];
    file->add(scalars_record(
        now, step.step,
        {{"train_loss", step.train_loss}, {"learning_rate", step.learning_rate}, {"grad_norm", step.gradient_norm}}));
  }
}

void TensorBoardWriter::on_evaluation(const Trial& trial, const EvalResult& result, const MetricValues&) {
  AppendFile* file = file_of(trial);
  if (file == nullptr) return;
  Scalars scalars;
  for (const auto& [name, value] : logged_values(wanted_, result)) scalars.emplace_back(name, value);
  file->add(scalars_record(wall_time(), trial.step, scalars));
}

void TensorBoardWriter::on_end(const Trial& trial) {
  AppendFile* file = file_of(trial);
  if (file == nullptr) return;
  file->add(hparams_end_record(wall_time(), trial.state != TrialState::failed));
  files_.close(name_of(trial));
}

}  // namespace finetune
