// Every objective of preferences beside its formula in float64, whose gradient autograd computes: on nlls as they come
// from a head, cut into passes that hold a part of a batch.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "models/decoder.h"
#include "models/objective.h"
#include "models/objectives/token_losses.h"

namespace finetune::testing {
namespace {

// Two trials, whose batches have two more examples than the pass.
constexpr WeighedTrial kTrials[] = {
    {.beta = 0.3, .gamma = 0.5, .examples = 4, .desirable = 3, .first_rows = 21, .divergence = 0.4},
    {.beta = 2, .gamma = 0.1, .examples = 5, .desirable = 2, .first_rows = 30, .divergence = 0}};

struct Case {
  Pack pack;
  at::Tensor nll_N;
};

// Examples of `sequences` sequences, some rows of the prompt where `prompts`; rows that only pad stand at the end.
Case make_case(std::size_t sequences, bool prompts, std::int64_t examples) {
  Case made;
  at::manual_seed(5);
  std::int64_t row = 0;
  for (std::int64_t example = 0; example < examples; ++example) {
    for (std::size_t i = 0; i < sequences; ++i) {
      const std::int64_t prompt = prompts && i == 0 ? 2 + example % 3 : 0,
                         answer = 1 + (example * 3 + std::int64_t(i)) % 4;
      made.pack.sequences.push_back(
          {.begin = row,
           .end = row + prompt + answer,
           .answer = row + prompt,
           .example = example,
           .trial = example < 2 ? 0u : 1u,
           .reference = 1.5 * static_cast<double>(answer) + 0.2 * static_cast<double>(example),
           .desirable = example % 2 == 0});
      row += prompt + answer;
    }
  }
  made.pack.trials.assign(std::begin(kTrials), std::end(kTrials));
  made.nll_N = at::rand({row + 3}, at::kDouble) * 3 + 0.1;
  return made;
}

at::Tensor sum_of(const at::Tensor& nll_N, const SequenceRows& s) {
  return nll_N.narrow(0, s.answer, s.end - s.answer).sum();
}
at::Tensor mean_of(const at::Tensor& nll_N, const SequenceRows& s) {
  return sum_of(nll_N, s) / static_cast<double>(s.end - s.answer);
}

// What TRL computes of an example, in its own words: log-probabilities, not nlls.
using Formula = at::Tensor (*)(const at::Tensor& nll_N, const WeighedTrial& trial, const SequenceRows* example);

at::Tensor dpo_formula(const at::Tensor& nll_N, const WeighedTrial& trial, const SequenceRows* example) {
  const at::Tensor chosen = -sum_of(nll_N, example[0]) + example[0].reference;
  const at::Tensor rejected = -sum_of(nll_N, example[1]) + example[1].reference;
  return -at::log_sigmoid((chosen - rejected) * trial.beta);
}
at::Tensor simpo_formula(const at::Tensor& nll_N, const WeighedTrial& trial, const SequenceRows* example) {
  const at::Tensor logits = -mean_of(nll_N, example[0]) + mean_of(nll_N, example[1]);
  return -at::log_sigmoid((logits - trial.gamma / trial.beta) * trial.beta);
}
at::Tensor orpo_formula(const at::Tensor& nll_N, const WeighedTrial& trial, const SequenceRows* example) {
  const at::Tensor chosen = -mean_of(nll_N, example[0]), rejected = -mean_of(nll_N, example[1]);
  const at::Tensor odds = chosen - rejected - (at::log1p(-at::exp(chosen)) - at::log1p(-at::exp(rejected)));
  const at::Tensor nll = nll_N.narrow(0, example[0].begin, example[0].end - example[0].begin).sum();
  return nll * (trial.examples / trial.first_rows) - at::log_sigmoid(odds) * trial.beta;
}
at::Tensor kto_formula(const at::Tensor& nll_N, const WeighedTrial& trial, const SequenceRows* example) {
  const at::Tensor ratio = -sum_of(nll_N, example[0]) + example[0].reference;
  return example[0].desirable ? 1 - at::sigmoid((ratio - trial.divergence) * trial.beta)
                              : 1 - at::sigmoid((trial.divergence - ratio) * trial.beta);
}

const std::map<std::string, Formula> kFormulas = {
    {"dpo", dpo_formula}, {"simpo", simpo_formula}, {"orpo", orpo_formula}, {"kto", kto_formula}};

std::vector<std::string> objective_names() {
  std::vector<std::string> names;
  for (const NamedObjective& one : objectives()) {
    if (one.objective.by_example()) names.emplace_back(one.name);
  }
  return names;
}

at::Tensor figure(const std::vector<Figure>& figures, const std::string& name) {
  for (const Figure& one : figures) {
    if (name == one.name) return one.values_N;
  }
  ADD_FAILURE() << "there is no figure " << name;
  return {};
}

class ObjectiveFormula : public ::testing::TestWithParam<std::string> {
 protected:
  ObjectiveFormula() : sequences_(GetParam() == "kto" ? 1 : 2), case_(make_case(sequences_, GetParam() == "orpo", 5)) {}

  const WeighedTrial& trial_of(std::size_t example) const {
    return case_.pack.trials[case_.pack.sequences[example * sequences_].trial];
  }

  const Objective& objective_ = objective_named(GetParam());
  const std::size_t sequences_, examples_ = 5;
  Case case_;
};

TEST_P(ObjectiveFormula, LossesAndWeightsEqualTheFormulaAndItsGradient) {
  EXPECT_FALSE(objective_.weights(case_.pack, nullptr).defined());
  const PackLosses losses{case_.nll_N.clone(), {}};
  const at::Tensor weight_N = objective_.weights(case_.pack, &losses);
  const at::Tensor loss_N = figure(objective_.figures(case_.pack, losses), "loss");
  at::Tensor nll_N = case_.nll_N.clone().requires_grad_();
  at::Tensor sum = at::zeros({}, at::kDouble);
  for (std::size_t i = 0; i < examples_; ++i) {
    const SequenceRows* example = &case_.pack.sequences[i * sequences_];
    const at::Tensor loss = kFormulas.at(GetParam())(nll_N, trial_of(i), example);
    sum = sum + loss / trial_of(i).examples;
    const std::int64_t rows = example[sequences_ - 1].end - example->begin;
    // Both in float64; the sums run in another order.
    EXPECT_NEAR(loss_N.narrow(0, example->begin, rows).sum().item<double>(), loss.item<double>(), 1e-13) << i;
  }
  sum.backward();
  EXPECT_LT((weight_N - nll_N.grad()).abs().max().item<double>(), 1e-13);
  EXPECT_EQ(weight_N.narrow(0, weight_N.size(0) - 3, 3).abs().max().item<double>(), 0) << "rows that only pad";
}

// An example's numbers are the same bits in every place of a pass: where vector loops end is not seen. In float64,
// where a function that rounds differently shows.
constexpr std::int64_t kMany = 43;
TEST_P(ObjectiveFormula, AnExampleHasTheSameBitsAlone) {
  case_ = make_case(sequences_, GetParam() == "orpo", kMany);
  const PackLosses losses{case_.nll_N, {}};
  const at::Tensor all_N = objective_.weights(case_.pack, &losses);
  const auto figures = objective_.figures(case_.pack, losses);
  for (std::size_t i = 0; i < static_cast<std::size_t>(kMany); ++i) {
    const SequenceRows* example = &case_.pack.sequences[i * sequences_];
    const std::int64_t begin = example->begin, rows = example[sequences_ - 1].end - begin;
    Pack alone;
    alone.trials = case_.pack.trials;
    for (std::size_t k = 0; k < sequences_; ++k) {
      SequenceRows sequence = example[k];
      for (std::int64_t* row : {&sequence.begin, &sequence.end, &sequence.answer}) *row -= begin;
      alone.sequences.push_back(sequence);
    }
    const PackLosses its{losses.nll_N.narrow(0, begin, rows).clone(), {}};
    EXPECT_TRUE(at::equal(objective_.weights(alone, &its), all_N.narrow(0, begin, rows))) << i;
    for (const Figure& one : objective_.figures(alone, its))
      EXPECT_TRUE(at::equal(one.values_N, figure(figures, one.name).narrow(0, begin, rows))) << one.name << " of " << i;
  }
}

// Rewards that say which answer is preferred, and by how much.
TEST_P(ObjectiveFormula, AccuracyAndMarginFollowTheRewards) {
  const PackLosses losses{case_.nll_N, {}};
  const auto figures = objective_.figures(case_.pack, losses);
  for (std::size_t i = 0; i < examples_; ++i) {
    const SequenceRows* example = &case_.pack.sequences[i * sequences_];
    const WeighedTrial& trial = trial_of(i);
    const auto gained = [&](const SequenceRows& s) { return s.reference - sum_of(case_.nll_N, s).item<double>(); };
    const auto reward = [&](const SequenceRows& s) {
      return trial.beta * (GetParam() == "dpo" ? gained(s) : -mean_of(case_.nll_N, s).item<double>());
    };
    double margin = 0;
    bool right = false;
    if (GetParam() == "kto") {
      const double side = example->desirable ? 1 / trial.desirable : -1 / (trial.examples - trial.desirable);
      margin = trial.beta * gained(*example) * side * trial.examples;
      right = (gained(*example) > trial.divergence) == example->desirable;
    } else {
      margin = reward(example[0]) - reward(example[1]);
      right = margin > 0;
    }
    const std::int64_t begin = example->begin, rows = example[sequences_ - 1].end - begin;
    const auto of = [&](const char* name) { return figure(figures, name).narrow(0, begin, rows).sum().item<double>(); };
    EXPECT_NEAR(of("reward_margin"), margin, 1e-12) << i;
    EXPECT_EQ(of("preference_accuracy"), right ? 1 : 0) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Objectives, ObjectiveFormula, ::testing::ValuesIn(objective_names()),
                         [](const auto& info) { return info.param; });

// Rows of all losses, on either side of every bound; the last three only pad.
Pack termed_pack(std::int64_t rows) {
  constexpr TokenLoss kLosses[] = {TokenLoss::cross_entropy, TokenLoss::importance_sampling, TokenLoss::ppo,
                                   TokenLoss::cispo};
  Pack pack;
  pack.scale_N = at::zeros({rows + 3}, at::kDouble);
  for (std::int64_t i = 0; i < rows; ++i) {
    pack.terms.push_back({.loss = kLosses[i % 4],
                          .weight = 0.5 + 0.1 * static_cast<double>(i % 3),
                          .logprob = -1.5 + 0.05 * static_cast<double>(i % 11),
                          .advantage = i % 5 < 2 ? -0.8 : 1.3,
                          .clip_low = 0.9,
                          .clip_high = 1.4});
    pack.scale_N[i] = pack.terms.back().weight / 7;
  }
  return pack;
}

at::Tensor nll_of_rows(std::int64_t rows) {
  return at::linspace(0.9, 2.1, rows, at::kDouble).index_select(0, at::randperm(rows));
}

TEST(TokenLosses, HaveTheGradientsOfTheirFormulas) {
  at::manual_seed(2);
  constexpr std::int64_t kRows = 60;
  const Pack pack = termed_pack(kRows);
  const at::Tensor nll_N = nll_of_rows(kRows + 3).requires_grad_(true);
  at::Tensor total = at::zeros({}, at::kDouble);
  std::vector<double> expected;
  for (std::int64_t i = 0; i < kRows; ++i) {
    const TokenTerm& term = pack.terms[static_cast<std::size_t>(i)];
    const at::Tensor lp = -nll_N[i], ratio = (lp - term.logprob).exp();
    const at::Tensor clipped = ratio.clamp(term.clip_low, term.clip_high);
    at::Tensor loss = -lp;
    if (term.loss == TokenLoss::importance_sampling) loss = -ratio * term.advantage;
    if (term.loss == TokenLoss::ppo) loss = -at::minimum(ratio * term.advantage, clipped * term.advantage);
    if (term.loss == TokenLoss::cispo) loss = -clipped.detach() * lp * term.advantage;
    total = total + loss * pack.scale_N[i];
    expected.push_back(term.weight * loss.item<double>());
  }
  total.backward();
  const PackLosses losses{.nll_N = nll_N.detach(), .correct_N = {}};
  EXPECT_FALSE(token_losses().weights(pack, nullptr).defined());
  EXPECT_LT((token_losses().weights(pack, &losses) - nll_N.grad()).abs().max().item<double>(), 1e-14);
  const at::Tensor figure = token_losses().figures(pack, losses).front().values_N;
  for (std::int64_t i = 0; i < kRows; ++i)
    EXPECT_NEAR(figure[i].item<double>(), expected[static_cast<std::size_t>(i)], 1e-14) << i;
}

// A row's bits do not hang on its place, nor plain rows on those beside them.
TEST(TokenLosses, AreTheSameBitsInEveryPlace) {
  at::manual_seed(3);
  constexpr std::int64_t kRows = 16384 + 61;  // more than are computed at once
  const Pack all = termed_pack(kRows);
  const at::Tensor nll_N = nll_of_rows(kRows + 3);
  const PackLosses losses{.nll_N = nll_N, .correct_N = {}};
  const at::Tensor weights = token_losses().weights(all, &losses);
  for (const std::int64_t first : {1, 7, 20, 16370, 16384, 16391}) {
    Pack part;
    part.terms.assign(all.terms.begin() + first, all.terms.begin() + first + 23);
    part.scale_N = all.scale_N.narrow(0, first, 23);
    const PackLosses own{.nll_N = nll_N.narrow(0, first, 23), .correct_N = {}};
    EXPECT_TRUE(token_losses().weights(part, &own).equal(weights.narrow(0, first, 23)));
  }
  for (std::int64_t i = 0; i < kRows; i += 400) EXPECT_EQ(weights[i].item<double>(), all.scale_N[i].item<double>());
  Pack plain;
  plain.scale_N = all.scale_N;
  EXPECT_TRUE(token_losses().weights(plain, nullptr).equal(plain.scale_N));
}

}  // namespace
}  // namespace finetune::testing
