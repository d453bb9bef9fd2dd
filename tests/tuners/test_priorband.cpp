// Sampler priorband. Golden numbers are of NePS 0.17.0 (PyPI neural-pipeline-search): CenteredPrior.log_pdf,
// TruncatedNormal.icdf, calculate_sh_rungs, and the probabilities that PriorBandSampler.sample_config hands to its
// choice of a policy, with prior_confidence high (0.75). It keeps positions in float32, so they hold to about 1e-6.
// tests/golden/priorband.py prints them.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "support/compare.h"
#include "tuners/registry.h"
#include "tuners/samplers/priorband/centred.h"
#include "tuners/samplers/priorband/mixture.h"

namespace finetune::testing {
namespace {

constexpr double kConfidence = 0.75;

Value word(const char* text) {
  return std::string(text);
}

SearchSpace golden_space() {
  return {{{.name = "x", .low = 0, .high = 1},
           {.name = "rate", .low = 1e-5, .high = 1e-1, .log = true},
           {.name = "kind", .choices = {word("a"), word("b"), word("c")}},
           {.name = "free", .low = -2, .high = 2}}};
}

const Params kStart{{"x", 0.3}, {"rate", 1e-3}, {"kind", word("b")}};

Params golden_params(std::int64_t k) {
  const auto number = static_cast<double>(k);
  return {{"x", number / 12},
          {"rate", std::pow(10, -5 + number / 3)},
          {"kind", golden_space().parameters[2].choices[static_cast<std::size_t>(k % 3)]},
          {"free", -2 + number / 3}};
}

// Twelve trials with a value at step 1, of which 4 7 2 9 5 0 (best first) have one at 3, and 7 and 4 completed at 9.
std::vector<TrialRecord> golden_trials() {
  std::vector<TrialRecord> trials;
  const auto add = [&](std::int64_t id, std::int64_t step, double value) {
    TrialRecord& trial = trials[static_cast<std::size_t>(id)];
    trial.values.emplace_back(step, value);
    trial.step = step;
    trial.state = step == 9 ? TrialState::completed : TrialState::stopped;
  };
  for (std::int64_t id = 0; id < 12; ++id) {
    trials.push_back({.id = {id}, .params = golden_params(id)});
    add(id, 1, 1 + 0.01 * static_cast<double>(id));
  }
  double value = 0.5;
  for (const std::int64_t id : {4, 7, 2, 9, 5, 0}) add(id, 3, value += 0.01);
  add(7, 9, 0.20);
  add(4, 9, 0.25);
  return trials;
}

TEST(PriorBand, DensitiesAreThoseOfNePS) {
  const double prior[] = {-3.69302364678, 0.587624457029, 0.120957599627, -5.40413545725};
  const double incumbent[] = {-8.66604570415, -0.207619886148, 1.29237987543, -3.16604657835};
  std::vector<double> by_prior, by_incumbent;
  for (const std::int64_t k : {0, 4, 7, 11}) {
    by_prior.push_back(log_density(golden_space(), kStart, kConfidence, golden_params(k)));
    by_incumbent.push_back(log_density(golden_space(), golden_params(7), kConfidence, golden_params(k)));
  }
  EXPECT_TRUE(all_near(std::span<const double>(by_prior), std::span<const double>(prior), {.absolute = 2e-6}));
  EXPECT_TRUE(all_near(std::span<const double>(by_incumbent), std::span<const double>(incumbent), {.absolute = 2e-6}));
}

TEST(PriorBand, QuantilesAreThoseOfNePS) {
  const std::map<double, std::vector<double>> golden{
      {7.0 / 12, {0.188074642257, 0.446833810319, 0.571430179031, 0.762922080737, 0.977982509586}},
      {0.3, {0.0505502629863, 0.22348680506, 0.335371676931, 0.52976683999, 0.86936921613}},
      {0.05, {0.0183949513002, 0.109781783529, 0.188590159975, 0.34892116447, 0.680052804035}}};
  const ParameterSpec spec = golden_space().parameters[0];
  for (const auto& [centre, expected] : golden) {
    const Value value = centre;
    std::vector<double> quantiles;
    for (const double u : {.05, .3, .5, .8, .99}) quantiles.push_back(as_number(value_around(spec, &value, 0.75, u)));
    EXPECT_TRUE(all_near(std::span<const double>(quantiles), std::span<const double>(expected), {.absolute = 1e-9}));
  }
}

TEST(PriorBand, ChoicesKeepTheCentreWithItsConfidence) {
  const ParameterSpec spec = golden_space().parameters[2];
  const Value centre = word("b");
  EXPECT_EQ(value_around(spec, &centre, 0.75, 0.74), word("b"));
  EXPECT_EQ(value_around(spec, &centre, 0.75, 0.76), word("a"));
  EXPECT_EQ(value_around(spec, &centre, 0.75, 0.99), word("c"));
  EXPECT_NEAR(log_density(spec, &centre, 0.75, word("b")), std::log(0.75), 1e-12);
  EXPECT_NEAR(log_density(spec, &centre, 0.75, word("c")), std::log(0.125), 1e-12);
  EXPECT_NEAR(log_density(spec, &centre, 0, word("b")), std::log(1.0 / 3), 1e-12) << "never less than the others";
  EXPECT_NEAR(log_density(spec, nullptr, 0.75, word("c")), std::log(1.0 / 3), 1e-12);
  const ParameterSpec single{.name = "one", .choices = {word("a")}};
  const Value only = word("a");
  EXPECT_EQ(value_around(single, &only, 0.75, 0.99), only);
  EXPECT_EQ(log_density(single, &only, 0.75, only), 0);
}

TEST(PriorBand, TheUniformShareFallsWithTheRung) {
  EXPECT_EQ(uniform_share(0, 3), 0.5);
  EXPECT_EQ(uniform_share(1, 3), 0.25);
  EXPECT_EQ(uniform_share(2, 3), 0.1);
}

TEST(PriorBand, ABracketCostsWhatItDoesInNePS) {
  EXPECT_EQ(bracket_steps(1, 81, 3), 297);
  EXPECT_EQ(bracket_steps(1, 9, 3), 21) << "9 x 1 + 3 x 2 + 1 x 6";
  EXPECT_EQ(bracket_steps(3, 81, 3), 243);
  EXPECT_EQ(bracket_steps(10, 100, 3), 232) << "levels 11 33 100";
  EXPECT_EQ(bracket_steps(2, 100, 3), 286);
  EXPECT_EQ(bracket_steps(1, 64, 4), 208);
  EXPECT_EQ(bracket_steps(9, 9, 3), 9);
  EXPECT_EQ(bracket_steps(0, 9, 3), 21) << "a saved state may say so";
}

TEST(PriorBand, RanksWeighWhatADistributionMakesLikely) {
  const double densities[] = {std::log(0.5), std::log(0.1)};
  EXPECT_NEAR(log_rank_score(densities), std::log(2 * 0.5 + 0.1), 1e-12);
  const double tiny[] = {-1000, -1001};
  EXPECT_NEAR(log_rank_score(tiny), -1000 + std::log(2 + std::exp(-1)), 1e-9) << "where exp would be 0";
}

TEST(PriorBand, SharesAreThoseOfNePS) {
  const auto trials = golden_trials();
  const auto best = leaders(trials, 3);
  ASSERT_TRUE(best);
  EXPECT_EQ(best->incumbent->id, TrialId{7});
  ASSERT_EQ(best->top.size(), 2u) << "of six at step 3";
  EXPECT_EQ(best->top[0]->id, TrialId{4});
  EXPECT_EQ(best->top[1]->id, TrialId{7});
  const double golden[3][2] = {
      {0.236530524518, 0.263469475482}, {0.354795786777, 0.395204213223}, {0.425754944133, 0.474245055867}};
  for (std::int64_t rung = 0; rung < 3; ++rung) {
    const Shares shares = shares_by(*best, uniform_share(rung, 3), golden_space(), kStart, kConfidence);
    EXPECT_NEAR(shares.prior, golden[rung][0], 1e-6);
    EXPECT_NEAR(shares.incumbent, golden[rung][1], 1e-6);
    EXPECT_NEAR(shares.uniform + shares.prior + shares.incumbent, 1, 1e-12);
  }
}

TEST(PriorBand, TheIncumbentWaitsForItsThreeConditions) {
  const auto whole = golden_trials();  // 6 x 1 + 4 x 3 + 2 x 9 steps; a bracket from 1 to 9 has 21
  ASSERT_TRUE(leaders(whole, 3));
  auto none_completed = whole;
  for (TrialRecord& trial : none_completed) trial.state = TrialState::stopped;
  EXPECT_FALSE(leaders(none_completed, 3));
  const std::vector<TrialRecord> too_few{whole[4], whole[7]};
  EXPECT_FALSE(leaders(too_few, 3)) << "two cannot be compared by thirds";
  const std::vector<TrialRecord> cheap{whole[1], whole[3], whole[6], whole[7]};
  EXPECT_FALSE(leaders(cheap, 3)) << "12 steps";
  auto failed = whole;
  failed[7].state = TrialState::failed;
  EXPECT_EQ(leaders(failed, 3)->incumbent->id, TrialId{4}) << "a failed trial is never the incumbent";
}

SearchSpace every_kind() {
  return {{{.name = "kind", .choices = {word("a"), word("b")}},
           {.name = "whole", .low = 1, .high = 9, .integer = true, .step = 2},
           {.name = "stepped", .low = 0, .high = 1, .step = 0.25},
           {.name = "only_b", .low = 0, .high = 1, .when = {{"kind", {word("b")}}}},
           {.name = "rate", .low = 1e-5, .high = 1e-1, .log = true},
           {.name = "fixed", .low = 2, .high = 2},
           make_ordinal("size", {word("small"), word("medium"), word("large")})}};
}

const Params kSome{{"kind", word("a")}, {"whole", std::int64_t{7}}, {"stepped", 0.25}, {"rate", 1e-3},
                   {"fixed", 2.0},      {"size", word("large")}};

TEST(PriorBand, AMutationChangesHalfOfTheParameters) {
  const SearchSpace space = every_kind();
  std::map<std::string, int> changed;
  std::vector<double> switched_on;
  for (std::uint64_t seed = 0; seed < 4000; ++seed) {
    Random random(seed, Purpose::test);
    const Params params = mutated(space, kSome, {.centres = {{"only_b", 0.9}}}, random);
    for (const auto& [name, value] : params) {
      const Value* before = find_param(kSome, name);
      if (before == nullptr)
        switched_on.push_back(as_number(value));
      else if (value != *before)
        ++changed[name];
    }
    EXPECT_EQ(find_param(params, "only_b") != nullptr, *find_param(params, "kind") == word("b"));
  }
  EXPECT_NEAR(changed["kind"], 2000, 150) << "always to the other one";
  EXPECT_NEAR(changed["rate"], 2000, 150);
  EXPECT_LT(changed["whole"], 1900) << "a draw near 7 may be 7";
  EXPECT_GT(changed["whole"], 1000);
  EXPECT_EQ(changed["fixed"], 0);
  EXPECT_NEAR(static_cast<double>(switched_on.size()), 2000, 150);
  double sum = 0;
  for (const double value : switched_on) sum += value;
  EXPECT_NEAR(sum / static_cast<double>(switched_on.size()), 0.743, 0.02) << "around its start, not uniform";
}

TEST(PriorBand, AMutationOfRateZeroChangesExactlyOne) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    Random random(seed, Purpose::test);
    const Params params = mutated(golden_space(), golden_params(7), {.rate = 0, .confidence = 0.75}, random);
    int changed = 0;
    for (const auto& [name, value] : params) changed += value != *find_param(golden_params(7), name) ? 1 : 0;
    EXPECT_EQ(changed, 1);
  }
}

// How far from the optimum of the first coordinate proposals lie, on average.
double spread(const Params& start, const std::vector<TrialRecord>& trials, const Params& options = {}) {
  SamplerRequest request{options, golden_space(), 5};
  request.start = start;
  const auto sampler = make_sampler("priorband", request);
  double sum = 0;
  for (std::int64_t id = 100; id < 1100; ++id)
    sum += std::abs(as_number(*find_param(*sampler->suggest({id}, trials), "x")) - 0.3);
  return sum / 1000;
}

TEST(PriorBand, ProposalsLieAroundTheStartAsFarAsItIsTrusted) {
  const double uniform = 0.3 * 0.15 + 0.7 * 0.35;  // mean of |x - 0.3|
  EXPECT_NEAR(spread({}, {}), uniform, 0.02) << "without a start the prior is uniform too";
  const double half = spread(kStart, {});
  EXPECT_LT(half, uniform - 0.03);
  EXPECT_LT(spread(kStart, {}, {{"rung", std::int64_t{3}}}), half - 0.02);
  EXPECT_LT(spread(kStart, {}, {{"confidence", 0.95}}), half - 0.03);
}

TEST(PriorBand, TheIncumbentsShareIsDrawnAroundIt) {
  SamplerRequest request{{}, golden_space(), 5};
  request.start = kStart;
  const auto sampler = make_sampler("priorband", request);
  const auto trials = golden_trials();
  int kept = 0;  // values of the incumbent that a proposal has unchanged
  for (std::int64_t id = 100; id < 1100; ++id)
    kept += *find_param(*sampler->suggest({id}, trials), "free") == *find_param(trials[7].params, "free") ? 1 : 0;
  // Of 0.263 x 1000 variations half change it; where all four draws are 0.5 or more, the least is changed after all.
  EXPECT_NEAR(kept, 130, 25);
}

}  // namespace
}  // namespace finetune::testing
