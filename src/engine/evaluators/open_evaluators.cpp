#include "engine/evaluators/open_evaluators.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "config/metric_rules.h"
#include "core/error.h"
#include "core/program.h"
#include "core/random.h"
#include "core/text.h"
#include "data/choices.h"
#include "data/completion.h"
#include "data/prompts.h"
#include "engine/evaluators/choice_evaluator.h"
#include "engine/evaluators/text_evaluator.h"
#include "engine/schedule.h"

namespace finetune {
namespace {

constexpr std::size_t kMostLabels = 100;  // design contract, 13.3
constexpr std::size_t kFewestRows = 32;   // fewer say nothing

// A training step computes a token forward, and twice as much backward: so many tokens of a forward pass.
constexpr double kTrainedToken = 3;
constexpr double kShare = 0.2;  // tune.eval_share by itself
// Schedulers look at a trial three to five times.
constexpr double kLooks = 5;

std::vector<Metric> of_sources(const RunConfig& config, std::initializer_list<MetricSource> sources) {
  std::vector<Metric> chosen;
  for (const Metric& metric : wanted_metrics(config)) {
    if (std::find(sources.begin(), sources.end(), metric.source) != sources.end()) chosen.push_back(metric);
  }
  return chosen;
}

std::string names_of(const std::vector<Metric>& metrics) {
  std::vector<std::string> names;
  for (const Metric& metric : metrics) names.emplace_back(metric.name);
  return join(names, ", ");
}

using Places = std::set<std::pair<std::int32_t, std::int64_t>>;

// Where the rows come from that are asked about: all, or a part drawn without regard to their order.
Places places_of(const Dataset& data, std::size_t most) {
  Places places;
  const std::int64_t count = std::ssize(data.examples);
  const std::vector<std::int64_t> order = permutation(count, Random(0, Purpose::split));
  for (std::size_t i = 0; i < std::min(most, data.examples.size()); ++i) {
    const ExampleView example = data.examples[static_cast<std::size_t>(order[i])];
    places.emplace(example.file, example.line);
  }
  return places;
}

RowFilter only(const Places& places) {
  return [&places](std::int32_t file, std::int64_t line) { return places.contains({file, line}); };
}

std::string shortened(const std::string& text) {
  constexpr std::size_t kMost = 120;
  return text.size() <= kMost ? text : text.substr(0, kMost) + " ...";
}

void check_labels(const std::vector<std::string>& labels) {
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (stripped(labels[i]).empty()) throw bad_input("", "data.labels has an empty label");
    if (std::find(labels.begin(), labels.begin() + static_cast<std::ptrdiff_t>(i), labels[i]) !=
        labels.begin() + static_cast<std::ptrdiff_t>(i))
      throw bad_input("", "data.labels has " + labels[i] + " twice");
  }
  if (labels.size() == 1) throw bad_input("", "data.labels has a single label: there is nothing to choose from");
}

// Most likely a slip: each row's model would be offered an answer that is never right.
void note_unseen_labels(const std::vector<std::string>& labels, const OpenedData& data, const DataOptions& options,
                        std::vector<std::string>& notes) {
  std::vector<std::string> files = data.train.files;
  for (const std::string& file : data.valid.files) {
    if (std::ranges::find(files, file) == files.end()) files.push_back(file);
  }
  const std::vector<std::string> unseen = unseen_labels(labels, files, options);
  if (unseen.empty()) return;
  notes.push_back(fmt::format("warning: data.labels: no row has {} for its completion; is it misspelt?",
                              shortened(join(unseen, ", "))));
}

std::string rows_note(const std::vector<Metric>& metrics, std::size_t rows, std::size_t all) {
  if (rows == all) return "";
  return fmt::format("{}: {} of {} validation rows are asked, the same for all trials", names_of(metrics),
                     with_commas(static_cast<long long>(rows)), with_commas(static_cast<long long>(all)));
}

class EvaluatorOpener {
 public:
  EvaluatorOpener(const RunConfig& config, const OpenedModel& model, const Dataset& data, const DataUse& use,
                  std::vector<std::string>& notes)
      : config_(config), model_(model), data_(data), options_(data_options(config, use)), notes_(notes) {}

  void add_choices(const std::vector<Metric>& metrics, bool by_label, std::size_t most, Evaluators& evaluators) {
    if (metrics.empty()) return;
    const Places places = places_of(data_, most);
    const bool own = !by_label && data_.format == "choices";
    static const std::vector<std::string> kNone;
    ChoiceSet set =
        load_choices(data_.files, options_, *model_.tokenizer, only(places), own ? kNone : config_.data.labels);
    if (set.rows.empty())
      throw bad_input(data_.files.front(), names_of(metrics) + ": every row is longer than data.max_length");
    note(rows_note(metrics, places.size(), data_.examples.size()));
    if (set.too_long > 0)
      note(fmt::format("{}: {} rows are longer than data.max_length with a choice and are left out", names_of(metrics),
                       set.too_long));
    evaluators.push_back(make_choice_evaluator(std::move(set.rows), metrics));
  }

  void add_texts(const std::vector<Metric>& metrics, std::size_t most, Evaluators& evaluators) {
    if (metrics.empty()) return;
    const auto& command = config_.tune.command;
    if (!command.empty() && !can_be_run(command.front()))
      throw bad_input("", "tune.command: " + command.front() + " is not there, or cannot be run");
    const Places places = places_of(data_, most);
    PromptSet prompts = load_prompts(data_.files, options_, *model_.tokenizer, false, only(places));
    TextEvaluatorOptions options{.metrics = metrics,
                                 .answer = config_.data.answer,
                                 .command = config_.tune.command,
                                 .command_timeout = config_.tune.command_timeout};
    const std::int64_t vocabulary = model_.checkpoint.options.vocab_size;
    options.texts.max_new_tokens = config_.tune.generate.max_new_tokens;
    options.texts.end_ids = end_ids_for(config_.model.path, vocabulary, *model_.tokenizer, prompts);
    options.texts.stop = config_.tune.generate.stop;
    if (options.texts.end_ids.empty())
      note("the checkpoint names no end token: texts end at tune.generate.max_new_tokens or tune.generate.stop");
    note(rows_note(metrics, places.size(), data_.examples.size()));
    evaluators.push_back(make_text_evaluator(std::move(prompts), *model_.tokenizer,
                                             model_.checkpoint.options.max_positions, std::move(options)));
  }

 private:
  void note(const std::string& line) {
    if (!line.empty() && std::ranges::find(notes_, line) == notes_.end()) notes_.push_back(line);
  }

  const RunConfig& config_;
  const OpenedModel& model_;
  const Dataset& data_;
  const DataOptions options_;
  std::vector<std::string>& notes_;
};

struct MeanTokens {
  double all = 0, loss = 0;
};

MeanTokens mean_tokens(const Dataset& data) {
  const auto count = static_cast<double>(std::max<std::size_t>(1, data.examples.size()));
  return {static_cast<double>(data.tokens) / count, static_cast<double>(data.loss_tokens) / count};
}

std::size_t rows_for(double tokens, double tokens_per_row) {
  return std::max(kFewestRows, static_cast<std::size_t>(std::min(1e12, tokens / std::max(1.0, tokens_per_row))));
}

}  // namespace

void settle_labels(RunConfig& config, const OpenedData& data, const DataUse& use, std::vector<std::string>& notes) {
  const bool own = data.valid.format == "choices";
  std::vector<Metric> metrics = of_sources(config, {MetricSource::labels});
  if (!own)
    for (const Metric& metric : of_sources(config, {MetricSource::choices})) metrics.push_back(metric);
  if (metrics.empty()) return;
  if (!config.data.labels.empty()) {
    check_labels(config.data.labels);
    note_unseen_labels(config.data.labels, data, data_options(config, use), notes);
    return;
  }
  const bool trains = !data.train.files.empty();
  const auto labels =
      distinct_completions((trains ? data.train : data.valid).files, data_options(config, use), kMostLabels);
  const std::string source = trains ? "data.train" : "the data", names = names_of(metrics);
  if (labels.size() > kMostLabels)
    throw bad_input("", fmt::format("{}: {} has more than {} distinct completions; name the labels in data.labels",
                                    names, source, kMostLabels));
  if (labels.size() < 2)
    throw bad_input("", fmt::format("{}: {} has a single completion, so there is nothing to choose from; see "
                                    "data.labels",
                                    names, source));
  config.data.labels = labels;
  notes.push_back(
      fmt::format("{}: the {} distinct completions of {} are {}: {}", names, labels.size(), source,
                  metrics.front().source == MetricSource::labels ? "the labels" : "the choices of every row",
                  shortened(join(labels, ", "))));
}

bool asks_all_rows(const RunConfig& config) {
  return takes_one_pass(metric_named(config.tune.metric)) && !config.tune.eval_share;
}

std::string all_rows_note(const RunConfig& config, const OpenedData& data) {
  if (!asks_all_rows(config)) return "";
  RunConfig limited = config;
  limited.tune.eval_share = kShare;
  const std::size_t rows = data.valid.examples.size(), fewer = limits_by_share(limited, data).losses;
  if (fewer >= rows) return "";
  return fmt::format("{} is over all {} validation rows; --set tune.eval_share={} would ask {} of them",
                     config.tune.metric, with_commas(static_cast<long long>(rows)), kShare,
                     with_commas(static_cast<long long>(fewer)));
}

RowLimits limits_by_share(const RunConfig& config, const OpenedData& data) {
  const double share = config.tune.eval_share.value_or(kShare);
  const MeanTokens train = mean_tokens(data.train), valid = mean_tokens(data.valid);
  const double steps = static_cast<double>(last_step(config.train));
  const double every = static_cast<double>(config.run.eval_every), looks = kLooks + (every > 0 ? steps / every : 0);
  const double trained = steps * static_cast<double>(config.train.batch_size) * train.all * kTrainedToken;
  const double tokens = share < 1 ? trained * share / (1 - share) : INFINITY;  // of all evaluations of a trial
  const double choices = static_cast<double>(std::max<std::size_t>(2, config.data.labels.size()));
  const double written = std::min(static_cast<double>(config.tune.generate.max_new_tokens), 1.25 * valid.loss);
  const double choosing = valid.all + choices * valid.loss, writing = valid.all - valid.loss + kNewTokenCost * written;
  RowLimits limits;
  if (tasks_at_rungs(config)) {  // every look is at both
    const double each = tokens / looks;
    limits = {rows_for(each, valid.all + choosing), rows_for(each, valid.all + choosing),
              rows_for(each, valid.all + writing)};
    if (generates(metric_named(config.tune.metric))) limits.losses = limits.texts;
  } else {
    limits = {rows_for(tokens / 2 / looks, valid.all), rows_for(tokens / 2, choosing), rows_for(tokens / 2, writing)};
  }
  if (asks_all_rows(config)) limits.losses = SIZE_MAX;
  const auto asked = static_cast<std::size_t>(config.tune.generate.examples);
  limits.texts = config.is_given("tune.generate.examples") ? asked : std::min(asked, limits.texts);
  return limits;
}

void limit_examples(Dataset& data, std::size_t most, std::vector<std::string>& notes) {
  if (data.examples.size() <= most) return;
  const Places places = places_of(data, most);
  const std::size_t all = data.examples.size();
  std::vector<std::uint32_t> kept;
  for (std::size_t i = 0; i < all; ++i) {
    const ExampleView example = data.examples[i];
    if (places.contains({example.file, example.line})) kept.push_back(static_cast<std::uint32_t>(i));
  }
  data.examples = data.examples.choose(std::move(kept));
  data.tokens = data.loss_tokens = 0;
  for (const ExampleView& example : data.examples) {
    data.tokens += std::ssize(example.ids);
    data.loss_tokens += example.loss_tokens();
  }
  const std::string why = most > kFewestRows
                              ? "for which tune.eval_share of the time is enough"
                              : "the least there are, though evaluations take more than tune.eval_share of the time";
  notes.push_back(
      fmt::format("validation: {} of {} rows, the same for all trials, {}; --set tune.eval_share=1 takes all",
                  with_commas(std::ssize(data.examples)), with_commas(static_cast<long long>(all)), why));
}

Evaluators open_evaluators(const RunConfig& config, const OpenedModel& model, const Dataset& data,
                           const RowLimits& limits, const DataUse& use, std::vector<std::string>& notes) {
  Evaluators evaluators;
  EvaluatorOpener opener(config, model, data, use, notes);
  opener.add_choices(of_sources(config, {MetricSource::labels}), true, limits.choices, evaluators);
  opener.add_choices(of_sources(config, {MetricSource::choices}), false, limits.choices, evaluators);
  opener.add_texts(of_sources(config, {MetricSource::text, MetricSource::command}), limits.texts, evaluators);
  return evaluators;
}

}  // namespace finetune
