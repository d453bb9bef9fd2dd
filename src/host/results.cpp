#include "host/results.h"

#include <algorithm>
#include <cmath>

#include "config/config.h"
#include "config/metric_rules.h"
#include "config/params.h"
#include "core/text.h"
#include "core/version.h"
#include "engine/devices.h"
#include "engine/packed_trainer.h"
#include "engine/schedule.h"
#include "host/search_space.h"
#include "host/trial_facts.h"
#include "models/export.h"

namespace finetune {
namespace {

constexpr const char* kLibTorch = "2.11.0";

std::string device_text(const Session& session) {
  std::vector<std::string> names;
  for (const auto& device : session.model.devices) {
    const std::string name = describe_device(device);  // lanes of one device name it once
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }
  return join(names, ", ");
}

std::vector<std::string> absolute_paths(const std::vector<std::string>& files) {
  std::vector<std::string> paths;
  for (const auto& file : files)
    paths.push_back(is_memory_file(file) ? file : std::filesystem::absolute(file).lexically_normal().string());
  return paths;
}

using Provenance = std::vector<std::pair<std::string, std::string>>;

std::string text_of(const TunerPart& part) {
  std::string text = part.name;
  for (const auto& [name, value] : part.options) text += ", " + name + " " + to_text(value);
  return text;
}

// What says how a model is measured, without the search.
TuneConfig measuring_only(const TuneConfig& tune) {
  TuneConfig kept;
  kept.metric = tune.metric;
  kept.direction = tune.direction;
  kept.generate = tune.generate;
  kept.command = tune.command;
  kept.command_timeout = tune.command_timeout;
  return kept;
}

// What decides a number of the run, as far as it is known before the first step.
Provenance provenance(const Session& session) {
  const RunConfig& config = session.config;
  Provenance list{{"finetune_tune", kVersion}, {"LibTorch", kLibTorch}, {"device", device_text(session)}};
  const auto add = [&](const char* name, const std::string& value) { list.emplace_back(name, value); };
  const auto count = [](const std::optional<std::int64_t>& number) {
    return number ? std::to_string(*number) : std::string("auto");
  };
  add("model.dtype", config.model.dtype);
  if (config.model.quantize != Quantize::none) add("model.quantize", to_text(config.model.quantize));
  if (config.model.double_quantize) add("model.double_quantize", "true");
  add("run.kernels", join(config.run.kernels, ", "));
  add("run.numerics", config.run.numerics);
  add("run.lanes", count(config.run.lanes));
  add("tune.concurrent", count(config.tune.concurrent));
  add("tune.sampler", text_of(*config.tune.sampler));
  add("tune.scheduler", text_of(*config.tune.scheduler));
  add("tune.seed", std::to_string(config.tune.seed));
  const auto is_seed = [](const SearchParameter& parameter) { return parameter.name == "train.seed"; };
  if (std::ranges::none_of(config.search, is_seed)) add("train.seed", std::to_string(config.train.seed));
  if (!session.data.chat_template.empty()) add("chat template", session.data.chat_template);
  return list;
}

}  // namespace

std::string run_yaml(const Session& session) {
  RunConfig config = session.config;
  config.run.tokens_per_pass = session.tokens_per_pass;
  return std::string("# finetune_tune ") + kVersion + ", LibTorch " + kLibTorch + ", " + device_text(session) + "\n" +
         (session.data.chat_template.empty() ? "" : "# chat template " + session.data.chat_template + "\n") +
         to_yaml(config);
}

PeftAdapter adapter_of(ParameterStore& store, const Trial& trial, const TrialImage& image) {
  return peft_adapter_of(store, trial.config, dynamic_cast<const TorchImage&>(image).on_host());
}

void write_weights(const Session& session, ParameterStore& store, const Trial& trial, const TrialImage& image,
                   const std::filesystem::path& folder) {
  if (session.config.train.full()) {
    store.restore(0, dynamic_cast<const TorchImage&>(image).slot());  // every trial has ended: the slots are free
    BaseModel model = session.model.checkpoint;
    model.weights = store.base(0);
    write_checkpoint(model, session.model.checkpoint.file_dtype, session.config.model.path, folder);
    return;
  }
  save_peft_adapter(folder, session.model.checkpoint.options, adapter_of(store, trial, image),
                    session.config.model.path);
}

RunConfig best_config(const Session& session, const Trial& best) {
  RunConfig config = session.config;
  apply_params(config, best.best_origin);
  if (is_mixture(config)) config.data.weights = weights_by_name(config);  // those searched among them
  config.search.clear();
  config.tune = measuring_only(session.config.tune);
  config.study = {};
  config.data.test.clear();  // it was scored once
  config.model.path = std::filesystem::absolute(config.model.path).lexically_normal().string();
  if (config.model.adapter)
    config.model.adapter = std::filesystem::absolute(*config.model.adapter).lexically_normal().string();
  for (auto* sources : {&config.data.train, &config.data.valid}) {
    for (DataSource& source : *sources) source.path = absolute_paths({source.path}).front();
  }
  if (config.data.chat_template.ends_with(".jinja"))
    config.data.chat_template = absolute_paths({config.data.chat_template}).front();
  config.run.out.clear();
  config.run.threads.reset();                            // they change no number
  config.run.lanes.reset();                              // one trial is on one lane
  config.run.profile = false;                            // nor does it
  config.run.tokens_per_pass = session.tokens_per_pass;  // where a batch is cut is part of the numbers
  config.train.changes = best.best_schedule;
  if (best.best_step < last_step(config.train)) config.train.stop_at = best.best_step;
  return config;
}

ReportFacts known_before(const Session& session) {
  const RunConfig& config = session.config;
  ReportFacts study;
  study.model = config.model.path;
  study.train_files = paths_of(config.data.train);
  study.valid_files = paths_of(config.data.valid);
  study.train_data = join(study.train_files, ", ");
  study.valid_data = session.data.valid_source;
  study.device = device_text(session);
  study.version = kVersion;
  study.sampler = config.tune.sampler->name;
  study.scheduler = config.tune.scheduler->name;
  study.metric = config.tune.metric;
  if (const std::string compared = rung_metric(config).name; compared != study.metric) study.rung_metric = compared;
  for (const Metric& metric : wanted_metrics(config)) {
    if (metric.name != study.metric) study.further.emplace_back(metric.name);
  }
  study.direction = config.tune.direction;
  study.full = config.train.full();
  study.objective = to_text(config.train.objective);
  study.full_steps = last_step(config.train);
  study.search = search_facts(search_space(config));
  study.default_params = searched_defaults(config);
  study.provenance = provenance(session);
  return study;
}

ReportFacts summarize(ReportFacts study, const StudyResult& result, double seconds) {
  for (std::size_t i = 0; i < result.trials.size(); ++i) {
    const Trial& trial = result.trials[i];
    if (trial.elsewhere) continue;  // its worker reports it
    if (result.best == i) study.best = study.trials.size();
    study.trials.push_back(trial_facts(trial));
    // What an interruption cut off is not saved, nor is what a trial that broke did not do.
    const bool cut = trial.state != TrialState::stopped || trial.reason == to_text(EndReason::interrupted);
    if (!cut) study.saved_steps += study.full_steps - trial.step;
  }
  if (result.best) study.best_schedule = schedule_facts(result.trials[*result.best]);
  study.base_metric = result.base_metric;
  if (const auto& run = result.default_run) {
    study.default_metric = run->best_metric;
    if (run->state == TrialState::failed) study.default_failure = run->reason;
  }
  study.seconds = seconds;
  study.steps = result.steps;
  study.tokens = result.tokens;
  study.interrupted = result.ended == EndReason::interrupted;
  if (!study.interrupted && result.ended != EndReason::exhausted) study.stopped_by = to_text(result.ended);
  return study;
}

}  // namespace finetune
