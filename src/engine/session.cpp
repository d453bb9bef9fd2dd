#include "engine/session.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "config/lora_rules.h"
#include "config/metric_rules.h"
#include "config/params.h"
#include "core/error.h"
#include "core/text.h"
#include "engine/admission.h"
#include "engine/adopt_adapter.h"
#include "engine/memory.h"
#include "engine/part_lines.h"
#include "engine/room.h"
#include "kernels/torch/threads.h"

namespace finetune {
namespace {

void resolve_steps(RunConfig& config, std::size_t examples) {
  if (!config.train.epochs) return;
  const double steps =
      std::ceil(*config.train.epochs * static_cast<double>(examples) / static_cast<double>(config.train.batch_size));
  config.train.steps = std::max<std::int64_t>(1, static_cast<std::int64_t>(steps));
  config.train.epochs.reset();
}

std::vector<const Value*> searched_values(const RunConfig& config, const std::string& key) {
  std::vector<const Value*> values;
  for (const auto& parameter : config.search) {
    if (parameter.name != key) continue;
    for (const auto& choice : parameter.choices) values.push_back(&choice);
  }
  return values;
}

constexpr const char* kSavedKey = "train.lora.modules_to_save";

SavedModules saved_by_some(const RunConfig& config) {
  SavedModules saved = saved_modules_of(config.train.lora);
  for (const Value* value : searched_values(config, kSavedKey))
    saved = saved | saved_modules_of(configure_trial(config, {{kSavedKey, *value}}).lora);
  return saved;
}

ProjectionSet targets_of_all(const RunConfig& config, const DecoderOptions& model) {
  ProjectionSet targets = resolve_targets(model, config.train.lora.targets);
  for (const Value* value : searched_values(config, "train.lora.targets"))
    targets = targets | resolve_targets(model, {to_text(*value)});
  return targets;
}

// Of any trial and any module.
std::int64_t largest_rank(const RunConfig& config) {
  std::int64_t rank = config.train.lora.rank;
  for (const auto& parameter : config.search) {
    if (parameter.name != "train.lora.rank") continue;
    if (parameter.choices.empty()) rank = std::max(rank, static_cast<std::int64_t>(parameter.high));
    for (const auto& choice : parameter.choices) rank = std::max(rank, static_cast<std::int64_t>(as_number(choice)));
  }
  return patterns_of(config.train.lora).largest_rank(rank);
}

// A matrix has as many singular values as its smaller side.
void check_pissa_rank(const RunConfig& config, const DecoderOptions& options) {
  const std::int64_t rank = largest_rank(config);
  for (const Projection p : targets_of_all(config, options).members()) {
    const std::int64_t values = std::min(projection_in(options, p), projection_out(options, p));
    if (rank > values)
      throw bad_input("", fmt::format("train.lora.init: pissa needs {} singular values of {}, which has {}; lower "
                                      "train.lora.rank or leave it out of train.lora.targets",
                                      rank, name_of(p), values));
  }
}

// What train.lora says of a model: the shape of the adapter it starts from, and projections that it has.
void resolve_lora(RunConfig& config, const OpenedModel& model, bool trains) {
  const DecoderOptions& options = model.checkpoint.options;
  if (trains && model.adapter) adopt_adapter(config, model.adapter->spec, options);
  if (config.train.full() && trains && model.adapter)
    throw bad_input("",
                    "model.adapter has no meaning with train.method: full, which trains a whole model; merge it into "
                    "one with export, or use train.method: lora");
  if (config.train.full()) return;
  if (trains && some_trial_is_pissa(config)) check_pissa_rank(config, options);
  check_saved_modules("", kSavedKey, saved_by_some(config), options);
  const auto idle =
      idle_patterns("train.lora", patterns_of(config.train.lora), targets_of_all(config, options), options);
  if (!idle.empty() && !model.adapter)
    throw bad_input("", "train.lora." + idle.front() +
                            " holds for no module that is adapted; modules have paths like " +
                            projection_path(options, 0, projections_of(options).members().front()));
}

bool measures_texts(const RunConfig& config) {
  return measures(config, MetricSource::text) || measures(config, MetricSource::command);
}

// The number of texts as it came to is kept, so that a run that is gone on with asks the same rows.
void open_metrics(Session& session, const DataUse& use) {
  if (session.data.valid.examples.empty()) return;
  RunConfig& config = session.config;
  settle_labels(config, session.data, use, session.notes);
  const RowLimits limits = use.trains ? limits_by_share(config, session.data) : RowLimits{};
  if (use.trains) {
    if (std::string note = all_rows_note(config, session.data); !note.empty()) session.notes.push_back(std::move(note));
  }
  limit_examples(session.data.valid, limits.losses, session.notes);
  session.evaluators = open_evaluators(config, session.model, session.data.valid, limits, use, session.notes);
  if (!session.data.test.examples.empty())
    session.test_evaluators = open_evaluators(config, session.model, session.data.test, {}, use, session.notes);
  if (use.trains && measures_texts(config)) config.tune.generate.examples = static_cast<std::int64_t>(limits.texts);
}

// Losses with another beta or gamma are of another measure.
void note_searched_measure(Session& session) {
  const RunConfig& config = session.config;
  for (const SearchParameter& one : config.search) {
    if ((one.name == "train.beta" || one.name == "train.gamma") && config.tune.metric == "valid_loss")
      session.notes.push_back(one.name +
                              " is searched, and a trial's valid_loss is measured with its own; tune.metric: " +
                              "preference_accuracy compares all by one measure");
  }
}

// kto compares answers of other rows, and a margin has two sides.
void check_labels_of(const Session& session) {
  const Examples& valid = session.data.valid.examples;
  if (session.config.train.objective != ObjectiveName::kto || valid.empty()) return;
  const std::string where = join(session.data.valid.files, ", ");
  if (valid.size() < 2)
    throw bad_input(where,
                    "kto needs at least 2 validation examples, since it compares each with another's answer; "
                    "there is 1: give data.valid, or a larger data.valid_fraction");
  const auto desirable =
      std::count_if(valid.begin(), valid.end(), [](const ExampleView& example) { return example.desirable; });
  const bool one_sided = desirable == 0 || desirable == std::ssize(valid);
  for (const Metric& metric : wanted_metrics(session.config)) {
    if (one_sided && std::string(metric.name) == "reward_margin")
      throw bad_input(where, "reward_margin compares both labels, and all validation examples have the same");
  }
}

constexpr std::int64_t kMostThreads = 1024;

bool has_cpu(const OpenedModel& model) {
  return std::ranges::any_of(model.devices, [](const at::Device& device) { return device.is_cpu(); });
}

void settle_sizes(Session& session) {
  const OpenedModel& model = session.model;
  const bool some_cpu = has_cpu(model);
  settle_threads(session);
  const std::int64_t base = loaded_bytes(model.checkpoint.options, model.checkpoint.quantization,
                                         static_cast<std::int64_t>(at::elementSize(model.checkpoint.dtype)));
  session.program_bytes =
      std::max<std::int64_t>(0, resident_bytes() - (some_cpu && !session.model.sizes_only ? base : 0));
  session.tokens_per_pass = tokens_of_pass(session, case_of(session));
}

void read_data(Session& session, const DataUse& use) {
  session.data =
      open_data(session.config, *session.model.tokenizer, session.model.checkpoint.options, use, session.notes);
  resolve_steps(session.config, session.data.train.examples.size());
  for (std::string& line : part_lines(session.config, session.data)) session.notes.push_back(std::move(line));
  open_metrics(session, use);
  check_labels_of(session);
  if (use.trains) note_searched_measure(session);
}

}  // namespace

void say_on_stderr(const std::string& line) {
  std::fprintf(stderr, "%s\n", line.c_str());
}

void settle_threads(Session& session) {
  if (const auto threads = session.config.run.threads) {
    if (*threads > kMostThreads) throw bad_input("", "run.threads must be at most " + std::to_string(kMostThreads));
    set_thread_count(static_cast<int>(*threads));
  }
  session.threads = at::get_num_threads();
  session.config.run.threads = session.threads;
  if (has_cpu(session.model)) session.short_waits = std::make_shared<const ShortWaits>();
}

Session open_session(RunConfig config, const DataUse& use, Weights weights, std::int64_t trials) {
  Session session{.config = std::move(config)};
  session.model = open_model(session.config, session.notes, weights, use.say);
  resolve_lora(session.config, session.model, use.trains);
  const bool computes = weights == Weights::read;
  if (computes || (session.model.tokenizer && !session.config.data.train.empty()))
    read_data(session, use);
  else
    limit_length(session.config, session.model.checkpoint.options.max_positions, session.notes);
  if (computes) {
    require_room(session, trials);
    read_weights(session.model, session.config.model);
    copy_to_devices(session.model);
  }
  settle_sizes(session);
  return session;
}

StoreOptions store_options(const Session& session, std::int64_t slots) {
  const RunConfig& config = session.config;
  const DecoderOptions& model = session.model.checkpoint.options;
  StoreOptions options{.slots = slots, .max_rank = largest_rank(config)};
  options.targets = targets_of_all(config, model);
  options.magnitudes = some_trial_is_dora(config);
  options.saved = saved_by_some(config);
  options.scales = !patterns_of(config.train.lora).empty();
  if (some_trial_is_pissa(config)) options.max_rank *= 2;
  return options;
}

}  // namespace finetune
