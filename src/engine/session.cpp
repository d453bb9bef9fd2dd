#include "engine/session.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ctime>

#include "config/params.h"
#include "core/error.h"
#include "core/number.h"
#include "core/text.h"
#include "data/dataset_notes.h"
#include "engine/admission.h"
#include "engine/adopt_adapter.h"
#include "engine/devices.h"
#include "engine/kernel_choice.h"
#include "engine/precision.h"

namespace finetune {
namespace {

constexpr double kDefaultValidFraction = 0.05;

DataOptions data_options(const DataConfig& data, std::int64_t max_length, const SessionOptions& use) {
  DataOptions options;
  options.format = data.format;
  options.fields.assign(data.fields.begin(), data.fields.end());
  options.has_pattern = data.prompt.has_value() || data.completion.has_value();
  options.prompt = data.prompt.value_or("");
  options.completion = data.completion.value_or("");
  options.chat_template = data.chat_template;
  options.date = data.date;
  // A measurement of a model without a template is comparable whatever the form, and says which; nothing is trained on
  // a guess.
  if (!use.trains) options.assumed_template = "chatml";
  options.by_role = use.collect_rejects;
  options.max_length = max_length;
  options.truncate = data.truncate;
  options.train_on = data.train_on;
  options.append_eos = data.append_eos;
  options.separator = data.separator.value_or("");
  options.keep_without_loss = !use.trains;
  return options;
}

void require_examples(const Dataset& data, const std::string& key) {
  if (!data.examples.empty()) return;
  const std::string files = join(data.files, ", ");
  throw bad_input(files, key + " has no usable example: " + std::to_string(data.records) + " read, " +
                             std::to_string(data.dropped_no_loss) + " without a loss token, " +
                             std::to_string(data.dropped_long) + " too long");
}

void require_shares(const Dataset& data, const DataOptions& options) {
  const std::string problem = share_problem(data, options);
  if (!problem.empty() && data.rejects.empty()) throw bad_input(join(data.files, ", "), problem);
}

void load_files(Session& session, const SessionOptions& use, const DataOptions& options) {
  const bool collect = use.collect_rejects;
  RunConfig& config = session.config;
  const auto note = [&](const Dataset& data, const std::string& what) {
    for (auto& line : dataset_notes(data, what, options)) session.notes.push_back(std::move(line));
  };
  if (use.trains) {
    session.train = load_dataset(config.data.train, options, *session.tokenizer, collect);
    note(session.train, "data.train");
    require_shares(session.train, options);
    if (!collect) require_examples(session.train, "data.train");
  }
  if (!config.data.valid.empty()) {
    session.valid = load_dataset(config.data.valid, options, *session.tokenizer, collect);
    note(session.valid, "data.valid");
    if (use.trains) require_shares(session.valid, options);
    if (!collect) require_examples(session.valid, "data.valid");
    session.valid_source = join(config.data.valid, ", ");
    return;
  }
  double fraction = config.data.valid_fraction;
  if (!config.data.valid_fraction_given && use.holds_out) fraction = kDefaultValidFraction;
  config.data.valid_fraction = fraction;
  if (fraction <= 0 || !use.trains) return;
  session.valid.examples = split_by_hash(session.train.examples, fraction);
  for (const auto& example : session.valid.examples) {
    session.valid.tokens += static_cast<std::int64_t>(example.ids.size());
    session.valid.loss_tokens += example.loss_tokens();
    session.train.tokens -= static_cast<std::int64_t>(example.ids.size());
    session.train.loss_tokens -= example.loss_tokens();
  }
  session.valid_source = number_to_text(fraction * 100) + " % of data.train, chosen by hash";
  if (!collect) require_examples(session.train, "data.train");
}

// Today's date where none is given: the one thing about a run that comes from a clock, so it is kept in the
// configuration, but only where a template reads it.
class DateOfRun {
 public:
  explicit DateOfRun(DataConfig& data) : data_(data), given_(!data.date.empty()) {
    if (given_) return;
    const std::time_t now = std::time(nullptr);
    std::tm today{};
    localtime_r(&now, &today);
    data.date = fmt::format("{:04}-{:02}-{:02}", today.tm_year + 1900, today.tm_mon + 1, today.tm_mday);
  }
  void keep_if(bool read) {
    if (!given_ && !read) data_.date.clear();
  }

 private:
  DataConfig& data_;
  bool given_;
};

void load_data(Session& session, const SessionOptions& use, std::int64_t max_length) {
  DateOfRun date(session.config.data);
  const DataOptions options = data_options(session.config.data, max_length, use);
  load_files(session, use, options);
  date.keep_if(session.train.reads_date || session.valid.reads_date);
  for (const Dataset* data : {&session.train, &session.valid}) {
    if (session.chat_template.empty()) session.chat_template = data->chat_template;
  }
  if (!session.chat_template.empty()) session.notes.push_back("chat template " + session.chat_template);
}
void resolve_steps(RunConfig& config, std::size_t examples) {
  if (!config.train.epochs) return;
  const double steps =
      std::ceil(*config.train.epochs * static_cast<double>(examples) / static_cast<double>(config.train.batch_size));
  config.train.steps = std::max<std::int64_t>(1, static_cast<std::int64_t>(steps));
  config.train.epochs.reset();
}

std::int64_t limit_length(Session& session) {
  const std::int64_t limit = session.model.options.max_positions;
  std::int64_t& max_length = session.config.data.max_length;
  if (max_length > limit) {
    if (session.config.is_given("data.max_length")) {
      session.notes.push_back("data.max_length = " + std::to_string(max_length) + " lowered to the model's " +
                              std::to_string(limit) + " positions");
    }
    max_length = limit;
  }
  return max_length;
}

void check_ids(const Dataset& data, std::int64_t vocabulary) {
  for (const auto& example : data.examples) {
    for (const auto id : example.ids) {
      if (id < vocabulary) continue;
      throw bad_input(data.files.at(static_cast<std::size_t>(example.file)) + ":" + std::to_string(example.line),
                      "token id " + std::to_string(id) + " is outside the model's vocabulary of " +
                          std::to_string(vocabulary) + "; tokenizer and model do not belong together");
    }
  }
}

// What the run computes with: run.devices, model.dtype and run.kernels, as they are from here on.
Precision settle_devices(Session& session) {
  RunConfig& config = session.config;
  session.devices = resolve_devices(config.run.devices);
  if (auto note = note_missing_gpus(config.run.devices)) session.notes.push_back(std::move(*note));
  Precision precision = settle_precision(config.model.dtype, session.devices, measure_products);
  session.kernels = settle_kernels(config.run.kernels, session.devices, precision.dtype);
  config.model.dtype = dtype_name(precision.dtype);
  config.run.kernels = resolved_kernels(session.kernels, session.devices, precision.dtype);
  return precision;
}

void copy_to_devices(Session& session) {
  for (const at::Device& device : session.devices) {
    const auto same =
        std::ranges::find_if(session.bases, [&](const DecoderBase& base) { return base.embed_VD.device() == device; });
    if (same != session.bases.end()) {
      session.bases.push_back(DecoderBase(*same));  // shares storage
    } else {
      session.bases.push_back(make_base(session.model, device));
    }
  }
  session.model.weights = {};  // the bases hold them
}

std::vector<const Value*> searched_values(const RunConfig& config, const std::string& key) {
  std::vector<const Value*> values;
  for (const auto& parameter : config.search) {
    if (parameter.name != key) continue;
    for (const auto& choice : parameter.choices) values.push_back(&choice);
  }
  return values;
}

}  // namespace

void say_on_stderr(const std::string& line) {
  std::fprintf(stderr, "%s\n", line.c_str());
}

Session open_session(RunConfig config, const SessionOptions& options) {
  Session session;
  session.free_memory = options.free_memory;
  session.config = std::move(config);
  const Precision precision = settle_devices(session);
  session.tokenizer = load_tokenizer(session.config.model.path);
  session.model = load_checkpoint(session.config.model.path, precision.dtype);
  for (auto& note : precision_notes(precision, session.model.file_dtype)) session.notes.push_back(std::move(note));
  if (session.config.model.adapter) {
    session.start = load_peft_adapter(*session.config.model.adapter, session.model.options);
    if (auto note = note_unmatched(*session.config.model.adapter, *session.start))
      session.notes.push_back(std::move(*note));
    if (options.trains) adopt_adapter(session.config, session.start->spec, session.model.options);
  }
  if (!session.config.train.full()) resolve_targets(session.model.options, session.config.train.lora.targets);
  for (const Value* value : searched_values(session.config, "train.lora.targets")) {
    resolve_targets(session.model.options, {to_text(*value)});
  }
  const std::int64_t max_length = limit_length(session);
  load_data(session, options, max_length);
  check_ids(session.train, session.model.options.vocab_size);
  check_ids(session.valid, session.model.options.vocab_size);
  resolve_steps(session.config, session.train.examples.size());
  copy_to_devices(session);
  const auto on_cpu = [](const at::Device& device) { return device.is_cpu(); };
  const bool some_cpu = std::ranges::any_of(session.devices, on_cpu);
  session.threads = at::get_num_threads();
  if (some_cpu) session.short_waits = std::make_shared<const ShortWaits>();
  const std::int64_t base_bytes =
      base_parameters(session.model.options) * static_cast<std::int64_t>(at::elementSize(session.model.dtype));
  session.program_bytes = std::max<std::int64_t>(0, resident_bytes() - (some_cpu ? base_bytes : 0));
  session.tokens_per_pass = session.config.run.tokens_per_pass.value_or(choose_tokens_per_pass(session));
  return session;
}

StoreOptions store_options(const Session& session, std::int64_t slots) {
  const RunConfig& config = session.config;
  StoreOptions options{.slots = slots, .max_rank = config.train.lora.rank};
  options.targets = resolve_targets(session.model.options, config.train.lora.targets);
  for (const Value* value : searched_values(config, "train.lora.targets")) {
    options.targets = options.targets | resolve_targets(session.model.options, {to_text(*value)});
  }
  for (const auto& parameter : config.search) {
    if (parameter.name != "train.lora.rank") continue;
    if (parameter.choices.empty())
      options.max_rank = std::max(options.max_rank, static_cast<std::int64_t>(parameter.high));
    for (const auto& choice : parameter.choices) {
      options.max_rank = std::max(options.max_rank, static_cast<std::int64_t>(as_number(choice)));
    }
  }
  return options;
}

TrainConfig configure_trial(const RunConfig& config, const Params& params) {
  RunConfig trial = config;
  apply_params(trial, params);
  return trial.train;
}

}  // namespace finetune
