#include "study/tensorboard.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

namespace finetune {
namespace {

// TensorBoard takes whatever has `tfevents` in its name.
constexpr const char* kFileName = "events.out.tfevents.0.finetune_tune";

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

TensorBoardWriter::TensorBoardWriter(const std::filesystem::path& run, const SearchSpace& space, const Metric& metric)
    : folder_(run / "tensorboard"), metric_(metric) {
  for (const ParameterSpec& spec : space.parameters) hparams_.emplace_back(spec.name, type_of(spec));
}

AppendFile* TensorBoardWriter::file_of(const Trial& trial) {
  const auto found = files_.find(trial.id);
  return found == files_.end() ? nullptr : found->second.get();
}

void TensorBoardWriter::on_start(const Trial& trial) {
  if (trial.id.value < 0) return;
  const std::string name = fmt::format("{:06}", trial.id.value);
  std::filesystem::create_directories(folder_ / name);
  auto& file = files_[trial.id] = std::make_unique<AppendFile>(folder_ / name / kFileName);
  const double now = wall_time();
  std::vector<std::string> tags{metrics().front().name};
  if (metric_.name != tags.front()) tags.emplace_back(metric_.name);
  file->add(version_record(now));
  file->add(hparams_experiment_record(now, hparams_, tags));
  file->add(hparams_start_record(now, trial.params, name));
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

void TensorBoardWriter::on_evaluation(const Trial& trial, const EvalResult& result, double metric) {
  AppendFile* file = file_of(trial);
  if (file == nullptr) return;
  const Metric& always = metrics().front();
  Scalars scalars{{always.name, always.of(result)}};
  if (metric_.name != always.name) scalars.emplace_back(metric_.name, metric);
  file->add(scalars_record(wall_time(), trial.step, scalars));
}

void TensorBoardWriter::on_end(const Trial& trial) {
  AppendFile* file = file_of(trial);
  if (file == nullptr) return;
  file->add(hparams_end_record(wall_time(), trial.state != TrialState::failed));
  file->flush();
  files_.erase(trial.id);
}

void TensorBoardWriter::on_round(std::int64_t) {
  for (auto& [id, file] : files_) file->flush();
}

}  // namespace finetune
