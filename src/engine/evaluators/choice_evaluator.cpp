#include "engine/evaluators/choice_evaluator.h"

#include <algorithm>
#include <utility>

#include "models/generate/score.h"

namespace finetune {
namespace {

std::size_t likeliest(const std::vector<double>& scores, const ChoiceRow& row, bool by_byte) {
  const auto figure = [&](std::size_t i) {
    return by_byte ? scores[i] / static_cast<double>(row.bytes[i]) : scores[i];
  };
  std::size_t best = 0;
  for (std::size_t i = 1; i < scores.size(); ++i) {
    if (figure(i) > figure(best)) best = i;
  }
  return best;
}

ExampleFigure choice_figure(const Metric& metric, const std::vector<double>& scores, const ChoiceRow& row) {
  const std::string name = metric.name;
  const std::size_t guess = likeliest(scores, row, name == "multiple_choice_norm");
  if (name == "macro_f1") return {static_cast<double>(guess), static_cast<double>(row.right)};
  return {guess == row.right ? 1.0 : 0.0, 1};
}

class ChoiceEvaluator : public Evaluator {
 public:
  ChoiceEvaluator(std::vector<ChoiceRow> rows, std::vector<Metric> metrics)
      : rows_(std::move(rows)), metrics_(std::move(metrics)) {}

  std::vector<std::string> metrics() const override {
    std::vector<std::string> names;
    for (const Metric& metric : metrics_) names.emplace_back(metric.name);
    return names;
  }

  EvaluatorWork work() const override {
    EvaluatorWork work;
    for (const ChoiceRow& row : rows_) {
      std::int64_t longest = 0;
      work.sequences += std::ssize(row.continuations);
      for (const auto& next : row.continuations) {
        work.prompt_tokens += std::ssize(next);
        longest = std::max<std::int64_t>(longest, std::ssize(next));
      }
      work.prompt_tokens += std::ssize(row.prompt);
      work.longest = std::max<std::int64_t>(work.longest, std::ssize(row.prompt) + longest);
    }
    return work;
  }

  std::vector<MeasuredMetrics> evaluate(const EvaluatedPack& pack) const override {
    std::vector<Question> questions;
    for (std::size_t trial = 0; trial < pack.adapters.size(); ++trial) {
      for (const ChoiceRow& row : rows_)
        questions.push_back({.trial = trial, .prompt = row.prompt, .continuations = row.continuations});
    }
    const ScoreOptions options{.tokens_per_pass = pack.tokens_per_pass,
                               .cache_bytes = pack.cache_bytes,
                               .check = [&pack] { check_interrupt(pack); }};
    const auto scores = score(pack.base, pack.bank, pack.adapters, questions, options);
    std::vector<MeasuredMetrics> results;
    for (std::size_t trial = 0; trial < pack.adapters.size(); ++trial)
      results.push_back(measured(std::span(scores).subspan(trial * rows_.size(), rows_.size())));
    return results;
  }

 private:
  MeasuredMetrics measured(std::span<const std::vector<double>> scores) const {
    MeasuredMetrics result;
    for (const Metric& metric : metrics_) {
      MeasuredMetric& one = result[metric.name];
      for (std::size_t i = 0; i < rows_.size(); ++i) one.examples.push_back(choice_figure(metric, scores[i], rows_[i]));
      one.value = metric.over(one.examples);
    }
    return result;
  }

  std::vector<ChoiceRow> rows_;
  std::vector<Metric> metrics_;
};

}  // namespace

std::unique_ptr<Evaluator> make_choice_evaluator(std::vector<ChoiceRow> rows, std::vector<Metric> metrics) {
  return std::make_unique<ChoiceEvaluator>(std::move(rows), std::move(metrics));
}

}  // namespace finetune
