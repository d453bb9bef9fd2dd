// Evaluators: their numbers by another way, and that a trial's do not hang on its neighbours.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <memory>

#include "core/error.h"
#include "core/program.h"
#include "engine/evaluate.h"
#include "engine/evaluators/choice_evaluator.h"
#include "engine/evaluators/command_metric.h"
#include "engine/evaluators/text_evaluator.h"
#include "support/letters.h"
#include "support/tiny_models.h"

namespace finetune::testing {
namespace {

using Ids = std::vector<std::int32_t>;

std::vector<Metric> named(const std::vector<std::string>& names) {
  std::vector<Metric> metrics;
  for (const auto& name : names) metrics.push_back(metric_named(name));
  return metrics;
}

// A base, and trials of which each has an adapter of its own; the last is the base as it is.
class Evaluators : public ::testing::Test {
 protected:
  Evaluators() {
    for (std::int64_t slot = 0; slot < 3; ++slot) {
      bank_.initialize(slot, {.rank = 4, .targets = ProjectionSet::all()}, static_cast<std::uint64_t>(slot));
      at::Tensor params_P = bank_.params_SP.select(0, slot);
      params_P.add_(at::sin(at::arange(params_P.numel(), at::kFloat) * (0.37 + static_cast<double>(slot))), 0.2);
      adapters_.push_back({.slot = slot, .rank = 16, .scale = 1.5, .targets = ProjectionSet::all()});
    }
    adapters_.emplace_back();
  }

  EvaluatedPack pack_of(std::span<const AdapterChoice> adapters) const {
    return {.base = base_, .bank = &bank_, .adapters = adapters, .tokens_per_pass = 64};
  }

  // The same alone, together, and in another order.
  void expect_isolated(const Evaluator& evaluator) const {
    const auto together = evaluator.evaluate(pack_of(adapters_));
    const std::vector<AdapterChoice> turned(adapters_.rbegin(), adapters_.rend());
    const auto other_way = evaluator.evaluate(pack_of(turned));
    for (std::size_t i = 0; i < adapters_.size(); ++i) {
      const auto alone = evaluator.evaluate(pack_of(std::span(adapters_).subspan(i, 1))).front();
      for (const auto& [name, metric] : alone) {
        EXPECT_EQ(together[i].at(name).value, metric.value) << name;
        EXPECT_EQ(other_way[adapters_.size() - 1 - i].at(name).value, metric.value) << name;
      }
    }
  }

  DecoderBase base_ = tiny_base(tiny_options(), at::kFloat);
  AdapterBank bank_{
      base_.options, {.slots = 3, .rank = 16, .targets = ProjectionSet::all(), .dtype = at::kFloat}, at::kCPU};
  std::vector<AdapterChoice> adapters_;
};

std::vector<ChoiceRow> choice_rows() {
  std::vector<ChoiceRow> rows;
  for (const Example& prompt : tiny_examples({3, 20, 9, 17, 33, 5}, 37)) {
    ChoiceRow row{.prompt = prompt.ids, .right = rows.size() % 3};
    for (const Ids& next : {Ids{4, 2}, Ids{9, 11, 30, 2}, Ids{30, 2}}) {
      row.continuations.push_back(next);
      row.bytes.push_back(static_cast<std::int64_t>(next.size()) * 3);
    }
    rows.push_back(row);
  }
  return rows;
}

// nll of the continuation's tokens by a plain pass over the whole sequence.
double score_by_pass(const DecoderBase& base, const ChoiceRow& row, std::size_t choice) {
  Example example;
  example.ids = row.prompt;
  example.ids.insert(example.ids.end(), row.continuations[choice].begin(), row.continuations[choice].end());
  example.loss.assign(example.ids.size(), 0);
  for (std::size_t i = row.prompt.size(); i < example.ids.size(); ++i) example.loss[i] = 1;
  return -evaluate_examples(base, nullptr, std::span(&example, 1), 4096).front().nll;
}

TEST_F(Evaluators, TheLikeliestChoiceIsThatOfAPlainPass) {
  const std::vector<ChoiceRow> rows = choice_rows();
  const auto evaluator = make_choice_evaluator(rows, named({"multiple_choice", "multiple_choice_norm", "macro_f1"}));
  const MeasuredMetrics bare = evaluator->evaluate(pack_of(std::span(adapters_).last(1))).front();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    std::vector<double> sums, by_byte;
    for (std::size_t c = 0; c < 3; ++c) {
      sums.push_back(score_by_pass(base_, rows[i], c));
      by_byte.push_back(sums.back() / static_cast<double>(rows[i].bytes[c]));
    }
    const auto best = [](const std::vector<double>& of) { return std::max_element(of.begin(), of.end()) - of.begin(); };
    const auto right = static_cast<std::ptrdiff_t>(rows[i].right);
    EXPECT_EQ(bare.at("multiple_choice").examples[i].value, best(sums) == right ? 1 : 0) << i;
    EXPECT_EQ(bare.at("multiple_choice_norm").examples[i].value, best(by_byte) == right ? 1 : 0) << i;
    EXPECT_EQ(bare.at("macro_f1").examples[i].value, static_cast<double>(best(sums))) << i;
    EXPECT_EQ(bare.at("macro_f1").examples[i].weight, static_cast<double>(right)) << i;
  }
}

TEST_F(Evaluators, OfEqualChoicesTheFirstIsTaken) {
  std::vector<ChoiceRow> rows = choice_rows();
  for (ChoiceRow& row : rows) {
    row.continuations[1] = row.continuations[2] = row.continuations[0];
    row.bytes = {6, 6, 6};
  }
  const auto evaluator = make_choice_evaluator(rows, named({"multiple_choice", "multiple_choice_norm"}));
  const MeasuredMetrics bare = evaluator->evaluate(pack_of(std::span(adapters_).last(1))).front();
  for (const char* name : {"multiple_choice", "multiple_choice_norm"}) {
    for (std::size_t i = 0; i < rows.size(); ++i)
      EXPECT_EQ(bare.at(name).examples[i].value, rows[i].right == 0 ? 1 : 0) << name << i;
  }
}

// What estimates of time and memory go by.
TEST_F(Evaluators, SayWhatTheyAsk) {
  const EvaluatorWork work = make_choice_evaluator(choice_rows(), named({"multiple_choice"}))->work();
  EXPECT_EQ(work.prompt_tokens, 3 + 20 + 9 + 17 + 33 + 5 + 6 * (2 + 4 + 2)) << "a prompt once, each choice behind it";
  EXPECT_EQ(work.sequences, 18);
  EXPECT_EQ(work.longest, 33 + 4);
  EXPECT_EQ(work.new_tokens, 0);
}

TEST_F(Evaluators, ChoicesOfATrialDoNotDependOnItsNeighbours) {
  expect_isolated(*make_choice_evaluator(choice_rows(), named({"multiple_choice", "multiple_choice_norm"})));
}

PromptSet prompt_set(const std::vector<std::string>& texts, const std::vector<std::string>& references) {
  PromptSet set;
  set.files = {"rows.jsonl"};
  for (std::size_t i = 0; i < texts.size(); ++i) {
    PromptRow row{.text = texts[i], .ids = letters_tokenizer()->encode(texts[i], true).ids, .reference = references[i]};
    row.line = static_cast<std::int64_t>(i) + 1;
    set.rows.push_back(row);
  }
  return set;
}

const std::vector<std::string> kTexts{"ab", "the", "what is it", "go on", "x"};

class Written : public Evaluators {
 protected:
  // What the bare base writes behind each prompt.
  std::vector<std::string> written(const TextOptions& texts) const {
    const PromptSet set = prompt_set(kTexts, kTexts);
    std::vector<std::string> made;
    const auto completions = generate_texts(pack_of(std::span(adapters_).last(1)), *tokenizer_, set.rows, texts);
    for (const Completion& one : completions.front()) made.push_back(one.text);
    return made;
  }
  std::unique_ptr<Evaluator> evaluator(const std::vector<std::string>& references, TextEvaluatorOptions options) const {
    options.texts = texts_;
    return make_text_evaluator(prompt_set(kTexts, references), *tokenizer_, base_.options.max_positions, options);
  }
  MeasuredMetrics bare(const Evaluator& evaluator) const {
    return evaluator.evaluate(pack_of(std::span(adapters_).last(1))).front();
  }
  const TextOptions texts_{.max_new_tokens = 6};
  std::unique_ptr<Tokenizer> tokenizer_ = letters_tokenizer();
};

TEST_F(Written, EqualTextsMatchWhateverSpaceIsAroundThem) {
  std::vector<std::string> references = written(texts_);
  for (std::string& reference : references) reference = " " + reference + "\n";
  references[2] = "another";
  const MeasuredMetric match = bare(*evaluator(references, {.metrics = named({"exact_match"})})).at("exact_match");
  EXPECT_EQ(match.value, 0.8);
  EXPECT_EQ(match.examples[2].value, 0);
}

TEST_F(Written, AnAnswerIsTakenOutOfBothSides) {
  std::vector<std::string> references = written(texts_);
  TextEvaluatorOptions options{.metrics = named({"exact_match"}), .answer = "^(.)"};
  for (std::string& reference : references) reference = reference.substr(0, 1) + " and more";
  const auto first_letter = [](const std::string& text) { return text.find_first_not_of(" \n") == 0; };
  const auto plain = static_cast<double>(std::ranges::count_if(written(texts_), first_letter));
  EXPECT_EQ(bare(*evaluator(references, options)).at("exact_match").value, plain / 5) << "all begin alike";
}

TEST_F(Written, ATextWithoutAnAnswerIsWrong) {
  const std::vector<std::string> references(5, "#a");
  TextEvaluatorOptions options{.metrics = named({"exact_match"}), .answer = "#(.)"};
  EXPECT_EQ(bare(*evaluator(references, options)).at("exact_match").value, 0) << "nothing that is written has a mark";
}

// Behind a mark stands a row's expression; of what is written the first letter is the answer.
TEST_F(Written, ARegularExpressionIsSearchedInTheAnswerAlone) {
  TextEvaluatorOptions options{.metrics = named({"regex_match"}), .answer = "(?|#(.+)|^([^#])[^#]*$)"};
  const std::vector<std::string> references(5, "#^.$"), texts = written(texts_);
  const auto is_longer = [](const std::string& text) { return text.size() > 1; };
  ASSERT_TRUE(std::ranges::all_of(texts, is_longer)) << "otherwise the whole text is one letter";
  EXPECT_EQ(bare(*evaluator(references, options)).at("regex_match").value, 1);
}

// A program may judge rows that have no answer, and gets what was asked, what is right and what was written in place.
TEST_F(Written, ACommandGetsEveryRow) {
  const std::vector<std::string> references{"r", "", "", "", "s"};
  const auto count = [&](const std::string& pattern) {
    TextEvaluatorOptions options{.metrics = named({"command"}),
                                 .command = {"sh", "-c", "grep -c '" + pattern + "' \"$1\"", "judge"}};
    return bare(*evaluator(references, options)).at("command").value;
  };
  EXPECT_EQ(count("prediction"), 5);
  EXPECT_EQ(count("^.\"prompt\":\"ab\",\"reference\":\"r\",\"prediction\":\"..*\".$"), 1);
  EXPECT_EQ(count("^.\"prompt\":\"x\",\"reference\":\"s\""), 1);
}

TEST_F(Written, ARegularExpressionOfTheRowIsSearchedInTheText) {
  std::vector<std::string> references{".", ".", "^nothing like it$", "[a-z: ?.]+", "."};
  EXPECT_EQ(bare(*evaluator(references, {.metrics = named({"regex_match"})})).at("regex_match").value, 0.8);
}

TEST_F(Written, ATrialsTextsDoNotDependOnItsNeighbours) {
  expect_isolated(*evaluator(written(texts_), {.metrics = named({"exact_match"})}));
}

TEST_F(Written, RowsThatCannotBeJudgedAreRefusedByPlace) {
  const auto error_of = [&](const std::vector<std::string>& references, TextEvaluatorOptions options) -> std::string {
    try {
      evaluator(references, std::move(options));
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  const std::vector<std::string> some{"a", "", "b", "c", "d"}, brackets{"a", "b", "(", "c", "d"};
  EXPECT_NE(error_of(some, {.metrics = named({"exact_match"})}).find("rows.jsonl:2: the row has no answer"),
            std::string::npos);
  EXPECT_NE(error_of(brackets, {.metrics = named({"regex_match"})}).find("rows.jsonl:3: regular expression"),
            std::string::npos);
  EXPECT_NE(error_of(kTexts, {.metrics = named({"exact_match"}), .answer = "#(.*)"}).find("rows.jsonl:1: data.answer"),
            std::string::npos);
  EXPECT_NE(error_of(kTexts, {.metrics = named({"exact_match"}), .answer = "no group"}).find("has 0 groups"),
            std::string::npos);
}

struct Judged {
  double value = 0;
  std::string said;
};

Judged judge(const std::string& script, double seconds = 20) {
  Judged judged;
  const std::vector<JudgedText> texts{{"p", "r", "a\"b\n"}, {"q", "s", "\xFF"}};
  judged.value = judge_by_command(texts, {.command = {"sh", "-c", script, "judge"},
                                          .seconds = seconds,
                                          .say = [&](const std::string& line) { judged.said += line; },
                                          .interrupted = {}});
  return judged;
}

TEST(Command, PrintsTheMetricOfItsFile) {
  EXPECT_EQ(judge("wc -l < \"$1\"").value, 2);
  EXPECT_EQ(judge("grep -c '{\"prompt\":\"p\",\"reference\":\"r\",\"prediction\":\"a\\\\\\\"b' \"$1\"").value, 1);
  EXPECT_EQ(judge("echo ' 1.5e-3 '").value, 1.5e-3);
}

TEST(Command, ThatFailsHasNoNumberAndSaysWhy) {
  const Judged failed = judge("echo wrong >&2; exit 3");
  EXPECT_TRUE(std::isnan(failed.value));
  EXPECT_NE(failed.said.find("ended with exit code 3; it wrote:\nwrong"), std::string::npos) << failed.said;
  EXPECT_NE(judge("echo a lot").said.find("prints \"a lot\", which is no number"), std::string::npos);
  EXPECT_NE(judge("echo nan").said.find("no number"), std::string::npos);
  EXPECT_NE(judge("true").said.find("prints nothing"), std::string::npos);
  EXPECT_NE(judge("kill -9 $$").said.find("signal 9"), std::string::npos);
}

TEST(Command, ThatTakesTooLongIsEndedWithItsChildren) {
  const Judged late = judge("sleep 60 & sleep 60", 0.3);
  EXPECT_TRUE(std::isnan(late.value));
  EXPECT_NE(late.said.find("took longer than 0.3 seconds"), std::string::npos) << late.said;
}

TEST(Command, ThatLeavesAChildBehindIsNotWaitedFor) {
  EXPECT_EQ(judge("sleep 60 & echo 4").value, 4);
}

TEST(Command, IsFoundAsAShellFindsIt) {
  EXPECT_TRUE(can_be_run("sh"));
  EXPECT_TRUE(can_be_run("/bin/sh"));
  EXPECT_FALSE(can_be_run("/no/such/program"));
  EXPECT_FALSE(can_be_run("no-such-program-anywhere"));
}

TEST(Command, ThatIsNotThereSaysSo) {
  std::string said;
  judge_by_command({}, {.command = {"/no/such/program"},
                        .seconds = 1,
                        .say = [&](const auto& line) { said = line; },
                        .interrupted = {}});
  EXPECT_NE(said.find("/no/such/program cannot be started: No such file"), std::string::npos) << said;
}

TEST(Command, EndsWhenTheUserWantsTheEnd) {
  EXPECT_THROW(
      judge_by_command({}, {.command = {"sleep", "60"}, .seconds = 60, .say = {}, .interrupted = [] { return true; }}),
      Interrupted);
}

}  // namespace
}  // namespace finetune::testing
