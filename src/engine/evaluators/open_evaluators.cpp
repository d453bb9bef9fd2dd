#include "engine/evaluators/open_evaluators.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "config/metric_rules.h"
#include "core/error.h"
#include "core/random.h"
#include "core/text.h"
#include "data/choices.h"
#include "data/prompts.h"
#include "engine/evaluators/choice_evaluator.h"
#include "engine/evaluators/text_evaluator.h"

namespace finetune {
namespace {

constexpr std::size_t kMostLabels = 100;  // design contract, 13.3
constexpr std::size_t kFewestRows = 16;   // fewer say nothing

// Cost of a token in tokens of a forward pass: a training step computes it forward, and twice as much backward.
// Decoding costs as much as it reads weights for few rows at a time (tests/bench/results/generate.md).
constexpr double kTrainedToken = 3, kNewToken = 4;
// Evaluations of a trial where rungs have the metric too: schedulers look three to five times.
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
    const Example& example = data.examples[static_cast<std::size_t>(order[i])];
    places.emplace(example.file, example.line);
  }
  return places;
}

RowFilter only(const Places& places) {
  return [&places](std::int32_t file, std::int64_t line) { return places.contains({file, line}); };
}

std::string rows_note(const std::vector<Metric>& metrics, std::size_t rows, std::size_t all) {
  if (rows == all) return "";
  return fmt::format("{}: {} of {} validation rows are asked, the same for all trials", names_of(metrics),
                     with_commas(static_cast<long long>(rows)), with_commas(static_cast<long long>(all)));
}

class EvaluatorOpener {
 public:
  EvaluatorOpener(RunConfig& config, const OpenedModel& model, const Dataset& data, const DataUse& use,
                  std::vector<std::string>& notes)
      : config_(config), model_(model), data_(data), options_(data_options(config.data, use)), notes_(notes) {}

  void add_choices(const std::vector<Metric>& metrics, bool by_label, std::size_t most, Evaluators& evaluators) {
    if (metrics.empty()) return;
    const Places places = places_of(data_, most);
    const bool own = !by_label && data_.format == "choices";
    if (!own) settle_labels(metrics);
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

  void settle_labels(const std::vector<Metric>& metrics) {
    if (!config_.data.labels.empty()) return;
    const bool trains = !config_.data.train.empty();
    const auto labels = distinct_completions(trains ? config_.data.train : data_.files, options_, kMostLabels);
    const std::string source = trains ? "data.train" : "the data";
    if (labels.size() > kMostLabels)
      throw bad_input("", fmt::format("{}: {} has more than {} distinct completions; name the labels in data.labels",
                                      names_of(metrics), source, kMostLabels));
    if (labels.size() < 2)
      throw bad_input("", fmt::format("{}: {} has a single completion, so there is nothing to choose from; see "
                                      "data.labels",
                                      names_of(metrics), source));
    config_.data.labels = labels;
    note(fmt::format("{}: the {} distinct completions of {} are {}: {}", names_of(metrics), labels.size(), source,
                     metrics.front().source == MetricSource::labels ? "the labels" : "the choices of every row",
                     shortened(join(labels, ", "))));
  }

  static std::string shortened(const std::string& text) {
    constexpr std::size_t kMost = 120;
    return text.size() <= kMost ? text : text.substr(0, kMost) + " ...";
  }

  RunConfig& config_;
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

RowLimits limits_by_share(const RunConfig& config, const OpenedData& data) {
  RowLimits limits;
  const double share = config.tune.eval_share;
  const MeanTokens train = mean_tokens(data.train), valid = mean_tokens(data.valid);
  const bool at_rungs = rung_metric(config).source != MetricSource::loss;
  const double every = static_cast<double>(config.run.eval_every), steps = static_cast<double>(config.train.steps);
  const double evaluations = at_rungs ? kLooks + (every > 0 ? steps / every : 0) : 1;
  const double trained = steps * static_cast<double>(config.train.batch_size) * train.all * kTrainedToken;
  const double tokens = share < 1 ? trained * share / (1 - share) / evaluations : INFINITY;
  const double choices = static_cast<double>(std::max<std::size_t>(2, config.data.labels.size()));
  const double written = std::min(static_cast<double>(config.tune.generate.max_new_tokens), 1.25 * valid.loss);
  limits.choices = rows_for(tokens, valid.all + choices * valid.loss);
  limits.texts = static_cast<std::size_t>(config.tune.generate.examples);
  if (!config.is_given("tune.generate.examples"))
    limits.texts = std::min(limits.texts, rows_for(tokens, valid.all - valid.loss + kNewToken * written));
  return limits;
}

Evaluators open_evaluators(RunConfig& config, const OpenedModel& model, const Dataset& data, const RowLimits& limits,
                           const DataUse& use, std::vector<std::string>& notes) {
  Evaluators evaluators;
  EvaluatorOpener opener(config, model, data, use, notes);
  opener.add_choices(of_sources(config, {MetricSource::labels}), true, limits.choices, evaluators);
  opener.add_choices(of_sources(config, {MetricSource::choices}), false, limits.choices, evaluators);
  opener.add_texts(of_sources(config, {MetricSource::text, MetricSource::command}), limits.texts, evaluators);
  return evaluators;
}

}  // namespace finetune
