#include "engine/evaluators/text_evaluator.h"

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "data/answer.h"
#include "engine/evaluators/command_metric.h"

namespace finetune {
namespace {

class TextEvaluator : public Evaluator {
 public:
  TextEvaluator(PromptSet prompts, const Tokenizer& tokenizer, TextEvaluatorOptions options)
      : prompts_(std::move(prompts)), tokenizer_(tokenizer), options_(std::move(options)), finder_(options_.answer) {
    const auto compares = [](const Metric& metric) { return metric.source == MetricSource::text; };
    if (std::ranges::any_of(options_.metrics, compares)) answers_ = own_answers(prompts_, finder_);
    if (std::ranges::any_of(options_.metrics, is_regex)) patterns_ = answer_patterns(prompts_, answers_);
  }

  std::vector<std::string> metrics() const override {
    std::vector<std::string> names;
    for (const Metric& metric : options_.metrics) names.emplace_back(metric.name);
    return names;
  }

  EvaluatorWork work() const override {
    EvaluatorWork work{.sequences = std::ssize(prompts_.rows)};
    for (const PromptRow& row : prompts_.rows) {
      const std::int64_t length = std::ssize(row.ids);
      work.prompt_tokens += length;
      work.new_tokens += options_.texts.max_new_tokens;
      work.longest = std::max(work.longest, length + options_.texts.max_new_tokens);
    }
    return work;
  }

  std::vector<MeasuredMetrics> evaluate(const EvaluatedPack& pack) const override {
    const auto texts = generate_texts(pack, tokenizer_, prompts_.rows, options_.texts);
    std::vector<MeasuredMetrics> results;
    for (const std::vector<Completion>& of_trial : texts) {
      MeasuredMetrics& result = results.emplace_back();
      for (const Metric& metric : options_.metrics) result[metric.name] = measured(metric, of_trial, pack);
    }
    return results;
  }

 private:
  static bool is_regex(const Metric& metric) { return std::string(metric.name) == "regex_match"; }

  MeasuredMetric measured(const Metric& metric, const std::vector<Completion>& texts, const EvaluatedPack& pack) const {
    if (metric.source == MetricSource::command) return {.value = judged(texts, pack)};
    MeasuredMetric result;
    for (std::size_t i = 0; i < texts.size(); ++i)
      result.examples.push_back({is_right(metric, i, texts[i].text) ? 1.0 : 0.0, 1});
    result.value = metric.over(result.examples);
    return result;
  }

  bool is_right(const Metric& metric, std::size_t row, const std::string& text) const {
    const auto found = finder_.find(text);
    if (!found) return false;
    return is_regex(metric) ? patterns_[row].find_group(*found, 0).has_value() : *found == answers_[row];
  }

  double judged(const std::vector<Completion>& texts, const EvaluatedPack& pack) const {
    std::vector<JudgedText> lines;
    for (std::size_t i = 0; i < texts.size(); ++i)
      lines.push_back({prompts_.rows[i].text, prompts_.rows[i].reference, texts[i].text});
    return judge_by_command(lines, {.command = options_.command,
                                    .seconds = options_.command_timeout,
                                    .say = pack.say,
                                    .interrupted = pack.interrupted});
  }

  PromptSet prompts_;
  const Tokenizer& tokenizer_;
  TextEvaluatorOptions options_;
  AnswerFinder finder_;
  std::vector<std::string> answers_;
  std::vector<Pattern> patterns_;
};

}  // namespace

std::unique_ptr<Evaluator> make_text_evaluator(PromptSet prompts, const Tokenizer& tokenizer, std::int64_t positions,
                                               TextEvaluatorOptions options) {
  for (std::size_t i = 0; i < prompts.rows.size(); ++i)
    require_position(std::ssize(prompts.rows[i].ids), positions, place_of(prompts, i));
  return std::make_unique<TextEvaluator>(std::move(prompts), tokenizer, std::move(options));
}

}  // namespace finetune
