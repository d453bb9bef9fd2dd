// How a trainer measures its trials: losses in one pack, what evaluators ask of the model in another.
#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "core/add_seconds.h"
#include "core/error.h"
#include "engine/evaluate.h"
#include "engine/packed_trainer.h"
#include "engine/part_losses.h"
#include "models/generate/kv_cache.h"

namespace finetune {
namespace {

// Each figure's sum over every example of every trial, through the passes of an evaluation.
class FigureSums {
 public:
  FigureSums(std::size_t trials, std::size_t examples, at::Device device)
      : trials_(trials), examples_(examples), options_(at::TensorOptions(at::kDouble).device(device)) {}

  void add(const std::vector<Figure>& figures, std::span<const ops::RowRange> rows) {
    for (const Figure& figure : figures) {
      at::Tensor& sums_N = sums_[figure.name];
      if (!sums_N.defined()) sums_N = at::zeros({static_cast<std::int64_t>(trials_ * examples_)}, options_);
      ops::row_sums(figure.values_N.to(at::kFloat), rows, sums_N);
    }
  }
  /// By trial, by example; waits for the device. Not numbers where the objective has no such figure.
  std::vector<std::vector<double>> of(const std::string& name) const {
    std::vector<std::vector<double>> values(trials_, std::vector<double>(examples_, std::nan("")));
    const auto found = sums_.find(name);
    if (found == sums_.end()) return values;
    const at::Tensor on_host = found->second.cpu();
    const auto* sums = on_host.const_data_ptr<double>();
    for (std::size_t trial = 0; trial < trials_; ++trial)
      values[trial].assign(sums + trial * examples_, sums + (trial + 1) * examples_);
    return values;
  }

 private:
  std::size_t trials_, examples_;
  at::TensorOptions options_;
  std::map<std::string, at::Tensor> sums_;
};

// The loss rows of each example of a pass.
std::vector<ops::RowRange> example_ranges(const Pass& pass, const PackData& data, const Batch& batch) {
  std::vector<ops::RowRange> ranges;
  const std::size_t examples = batch.examples.size();
  for (std::size_t c = 0; c < pass.chunks.size(); ++c) {
    const Chunk& chunk = pass.chunks[c];
    std::int64_t row = data.rows[c].first;
    for (std::size_t i = chunk.first; i < chunk.first + chunk.count; ++i) {
      const std::int64_t rows = batch.examples[i].loss_tokens();
      if (rows > 0) ranges.push_back({row, row + rows, static_cast<std::int64_t>(chunk.trial * examples + i)});
      row += rows;
    }
  }
  return ranges;
}

double sum_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum;
}

// What an example adds to a metric of one pass: `values` are those of the figure that the metric is made of.
std::vector<ExampleFigure> example_figures(const Metric& metric, const Batch& batch, const std::vector<double>& values,
                                           bool by_example) {
  const bool by_byte = std::string(metric.name) == "bits_per_byte";
  std::vector<ExampleFigure> figures;
  for (std::size_t i = 0; i < batch.examples.size(); ++i) {
    const ExampleView& example = batch.examples[i];
    const double weight = by_example ? 1 : static_cast<double>(by_byte ? example.loss_bytes : example.loss_tokens());
    figures.push_back({values[i], weight});
  }
  return figures;
}

// The figure of an objective that a metric is made of: its own, or the loss.
std::string figure_of(const Metric& metric) {
  const std::string name = metric.name;
  return name == "token_accuracy" || metric.source == MetricSource::preferences ? name : "loss";
}

}  // namespace

void PackedTrainer::measure(Evaluators valid, EvaluationData test, const Metric& metric) {
  evaluators_ = std::move(valid);
  test_ = std::move(test.examples);
  test_evaluators_ = std::move(test.evaluators);
  metric_ = metric;
}

std::vector<EvalResult> PackedTrainer::evaluate(std::span<const TrialId> ids, const EvalRequest& request) {
  const ops::UseKernels kernels(options_.kernels);
  const ops::UseProfile profiled(profile_.get());
  const ops::Timed timed(ops::Part::evaluation);
  const AddSeconds timer(evaluation_seconds_);
  MemoryTurns::Turn turn = begin_turn();
  const std::int64_t tokens_before = tokens_per_pass();
  const std::vector<Resident*> trials = find_all(ids);
  std::vector<EvalResult> results;
  const std::size_t together = store_.packs_together() ? trials.size() : 1;
  for (std::size_t first = 0; first < trials.size(); first += together)
    evaluate_fitting(std::span(trials).subspan(first, together), request, results, turn);
  say_if_fewer(tokens_before);
  return results;
}

std::vector<EvalResult> PackedTrainer::run_evaluation(std::span<Resident* const> trials, const EvalRequest& request) {
  std::vector<EvalResult> results = losses(trials, request);
  if (request.tasks) add_tasks(trials, request, results);
  return results;
}

bool PackedTrainer::wants_figures(const EvalRequest& request, MetricSource source) const {
  return request.examples && takes_one_pass(metric_) == (source == MetricSource::loss);
}

std::vector<EvalResult> PackedTrainer::losses(std::span<Resident* const> trials, const EvalRequest& request) {
  const Batch& batch = request.test ? test_ : valid_;
  const std::vector<PackTrial> packed = undisturbed(trials);
  const std::vector<Batch> batches(trials.size(), batch);
  const std::vector<std::vector<std::int64_t>> lengths(trials.size(), batch.lengths());
  const DecoderBase& base = store_.base(packed.front().slot);
  const Trainables trainables = store_.trainables(packed.front().slot);
  const std::vector<double> divergences = round_divergences(trials, batches);
  FigureSums sums(trials.size(), batch.examples.size(), device_);
  for (const Pass& pass : plan_passes(lengths, planner_.tokens_per_pass())) {
    check_interrupt();
    under_way_ = {0, pass.tokens};
    PackData data = build_pack_data(pass, packed, batches, ops::fewest_product_rows(device_), pack_model(base.options));
    set_divergences(pass, divergences, data);
    sums.add(runner_.evaluate(base, trainables.bank, data, *options_.objective), example_ranges(pass, data, batch));
  }
  std::int64_t bytes = 0;
  for (const ExampleView& example : batch.examples) bytes += example.loss_bytes;
  const double divisor = divisor_of(batch);
  const bool by_example = options_.objective->by_example();
  const auto loss = sums.of("loss"), correct = sums.of("token_accuracy"), figures = sums.of(figure_of(metric_));
  std::vector<EvalResult> results;
  for (std::size_t i = 0; i < trials.size(); ++i) {
    const double nll = sum_of(loss[i]);
    EvalResult& result = results.emplace_back();
    result.trial = trials[i]->id;
    result.loss = nll / divisor;
    result.token_accuracy = sum_of(correct[i]) / divisor;
    result.bits_per_byte = by_example ? std::nan("") : nll / std::log(2.0) / static_cast<double>(bytes);
    for (const Metric& metric : metrics()) {
      if (by_example && metric.source == MetricSource::preferences)
        result.task[metric.name] = sum_of(sums.of(metric.name)[i]) / divisor;
    }
    if (!request.test && !by_example) add_part_losses(valid_parts_, batch, loss[i], result);
    if (wants_figures(request, MetricSource::loss))
      result.examples = example_figures(metric_, batch, figures[i], by_example);
  }
  return results;
}

// Keys and values get what passes do not take: as these shrink, so do they.
void PackedTrainer::add_tasks(std::span<Resident* const> trials, const EvalRequest& request,
                              std::vector<EvalResult>& results) {
  const Evaluators& evaluators = request.test ? test_evaluators_ : evaluators_;
  const std::vector<PackTrial> packed = packed_of(trials);
  std::vector<AdapterChoice> adapters;
  for (const PackTrial& trial : packed) adapters.push_back(choice_of(trial));
  const std::int64_t slot = packed.front().slot;
  const double shrunk =
      static_cast<double>(tokens_per_pass()) / static_cast<double>(std::max<std::int64_t>(1, options_.tokens_per_pass));
  const EvaluatedPack pack{.base = store_.base(slot),
                           .bank = store_.trainables(slot).bank,
                           .adapters = adapters,
                           .tokens_per_pass = tokens_per_pass(),
                           .cache_bytes = static_cast<std::int64_t>(
                               static_cast<double>(evaluation_cache_bytes(device_)) * std::min(1.0, shrunk)),
                           .interrupted = options_.interrupted,
                           .say = options_.say};
  // Figures by example and test data are asked of tune.metric alone.
  const bool tuned_alone = request.examples || request.test;
  for (const auto& evaluator : evaluators) {
    if (tuned_alone && std::ranges::count(evaluator->metrics(), std::string(metric_.name)) == 0) continue;
    under_way_ = {0, evaluator->work().longest};
    std::vector<MeasuredMetrics> measured = evaluator->evaluate(pack);
    for (std::size_t i = 0; i < trials.size(); ++i) {
      for (auto& [name, metric] : measured[i]) {
        results[i].task[name] = metric.value;
        if (name == metric_.name && wants_figures(request, metric_.source))
          results[i].examples = std::move(metric.examples);
      }
    }
  }
}

}  // namespace finetune
