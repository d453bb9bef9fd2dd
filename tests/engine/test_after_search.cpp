// What is done once a search is over, on lanes that make their losses up.
#include <gtest/gtest.h>

#include "engine/study_json.h"
#include "support/fake_lane.h"

namespace finetune::testing {
namespace {

constexpr std::int64_t kSteps = 8;

// Trials 0 to 3, of which asha stops some; the faster ones are the better ones.
std::unique_ptr<Tuner> four_trials() {
  return tuner_over({0.2, 0.5, 0.1, 0.3}, "asha", kSteps, {{"reduction_factor", 2.0}});
}

StudyOptions with(AfterSearch after) {
  StudyOptions options = options_for(kSteps);
  options.after = std::move(after);
  return options;
}

StudyResult play(AfterSearch after, FakeLane& lane, std::vector<StudyObserver*> observers = {}) {
  const auto tuner = four_trials();
  StudyResult result = Study(with(std::move(after)), *tuner, {&lane}, std::move(observers)).run();
  EXPECT_EQ(tuner->trials().size(), 4u) << "the tuner sees nothing of it";
  return result;
}

StudyResult play(AfterSearch after) {
  FakeLane lane(5);
  lane.seed_matters = 0.01;
  return play(std::move(after), lane);
}

// After `steps` of rate `rate` from where seed `seed` begins.
double loss_after(double rate, std::int64_t steps, double start) {
  double state = start;
  for (std::int64_t i = 0; i < steps; ++i) state += rate * (1 - state);
  return 1 - state;
}

std::string trials_text(const StudyResult& result) {
  const StudyState state{.trials = result.trials,
                         .default_run = result.default_run,
                         .base_metric = result.base_metric,
                         .steps = result.steps,
                         .tokens = result.tokens,
                         .rounds = result.rounds};
  return to_json(state, [](const auto& image) { return image->parts().values.dump(); }).dump();
}

TEST(AfterSearch, TheBestAreTrainedAgainWithOtherSeeds) {
  const StudyResult result = play({.confirm = ConfirmConfig{.top = 2, .seeds = 3}});
  ASSERT_EQ(result.after.confirmed.size(), 2u);
  const Confirmed& best = result.after.confirmed[0];
  EXPECT_EQ(best.trial, TrialId{1});
  ASSERT_EQ(best.metrics.size(), 3u);
  double mean = 0;
  for (std::int64_t seed = 1; seed <= 3; ++seed) {
    const double loss = loss_after(0.5, result.trials[1].best_step, 0.01 * static_cast<double>(seed));
    EXPECT_DOUBLE_EQ(best.metrics[static_cast<std::size_t>(seed - 1)], loss);
    mean += loss / 3;
  }
  EXPECT_DOUBLE_EQ(best.mean, mean);
  // Three values at equal distances d: their deviation is d, and that of the mean d / sqrt(3).
  EXPECT_NEAR(*best.standard_error, (best.metrics[0] - best.metrics[1]) / std::sqrt(3.0), 1e-12);
  EXPECT_TRUE(result.after.confirms);
  // One that was stopped is measured again where it was best, not at an end that it never came to.
  const Trial& stopped = result.trials[static_cast<std::size_t>(result.after.confirmed[1].trial.value)];
  ASSERT_LT(stopped.best_step, kSteps);
  const double rate = stopped.config.learning_rate;
  EXPECT_DOUBLE_EQ(result.after.confirmed[1].metrics[0], loss_after(rate, stopped.best_step, 0.01));
}

TEST(AfterSearch, TheWinnerIsTheBestMean) {
  FakeLane lane(5);
  lane.seed_matters = 1.7;  // seed 1 begins beyond its goal, so that the slow ones stay there
  lane.misfit_at = {};
  const auto tuner = tuner_over({0.5, 0.6}, "none", 2);
  StudyOptions options = options_for(2);
  options.after.confirm = ConfirmConfig{.top = 2, .seeds = 1};
  options.configure = [base = options.configure](const Params& params) {
    TrainConfig config = base(params);
    config.seed = config.learning_rate == 0.6 ? 1 : 0;  // of which the other seed begins far away
    return config;
  };
  const StudyResult result = Study(options, *tuner, {&lane}, {}).run();
  EXPECT_LT(*result.trials[1].best_metric, *result.trials[0].best_metric);
  EXPECT_EQ(result.best, 0u) << "the seed made the other look better";
  EXPECT_EQ(result.after.confirmed.front().trial, TrialId{0});
}

TEST(AfterSearch, ByItselfConfirmingCostsAQuarterAtMost) {
  // 2 x 8 steps; asha uses far fewer than 64.
  AfterSearch after{.confirm = ConfirmConfig{.top = 1, .seeds = 2}, .confirm_is_auto = true};
  const StudyResult dear = play(after);
  EXPECT_FALSE(dear.after.confirms);
  EXPECT_EQ(dear.after.confirm_steps, 2 * dear.trials[1].best_step);
  StudyState used{.trials = dear.trials, .steps = 4 * *dear.after.confirm_steps};
  EXPECT_TRUE(confirms(after, used, Direction::minimize));
  --used.steps;
  EXPECT_FALSE(confirms(after, used, Direction::minimize));
}

TEST(AfterSearch, NothingOfItChangesTheSearch) {
  const std::string plain = trials_text(play({}));
  for (const AfterSearch& after : {AfterSearch{.audit = 1}, AfterSearch{.confirm = ConfirmConfig{}},
                                   AfterSearch{.ablation = true, .defaults = {{"learning_rate", 0.01}}}}) {
    StudyResult result = play(after);
    for (Trial& trial : result.trials) trial.best_image.reset();
    result.default_run->best_image.reset();
    StudyResult same = play({});
    for (Trial& trial : same.trials) trial.best_image.reset();
    EXPECT_EQ(trials_text(result), trials_text(same));
    EXPECT_EQ(result.best, same.best);
  }
  EXPECT_EQ(plain, trials_text(play({})));
}

TEST(AfterSearch, StoppedTrialsRunOnToTheEndFromWhereTheyWere) {
  FakeLane lane(5);
  const StudyResult result = play({.audit = 1}, lane);
  std::int64_t stopped = 0;
  for (const Trial& trial : result.trials) stopped += trial.state == TrialState::stopped ? 1 : 0;
  EXPECT_GT(stopped, 0);
  EXPECT_EQ(result.after.audited, stopped);
  EXPECT_EQ(result.after.would_have_won, 0) << "the faster ones stay the better ones";
}

TEST(AfterSearch, AStoppedTrialThatWouldHaveWonIsCounted) {
  FakeLane lane(3);
  // At step 1 the fast one has overshot its goal by more than the other is short of it; at the end it is there.
  const auto tuner = tuner_over({1.95, 0.1}, "asha", kSteps, {{"reduction_factor", 2.0}, {"guard", false}});
  const StudyResult result = Study(with({.audit = 1}), *tuner, {&lane}, {}).run();
  ASSERT_EQ(result.trials[0].state, TrialState::stopped);
  EXPECT_EQ(result.after.audited, 1);
  EXPECT_EQ(result.after.would_have_won, loss_after(0.1, kSteps, 0) > std::pow(0.95, kSteps) ? 1 : 0);
}

TEST(AfterSearch, AShareOfIdsIsAudited) {
  std::int64_t audited = 0;
  for (std::int64_t id = 0; id < 10'000; ++id) audited += is_audited({id}, 0.05) ? 1 : 0;
  EXPECT_NEAR(static_cast<double>(audited), 500, 90);  // four standard deviations
  EXPECT_FALSE(is_audited({3}, 0));
  EXPECT_TRUE(is_audited({3}, 1));
}

TEST(AfterSearch, ThePathFromTheDefaultChangesOneParameterAtATime) {
  const SearchSpace space{{{.name = "learning_rate", .choices = {0.5}},
                           {.name = "rank", .choices = {std::int64_t{8}}},
                           {.name = "same", .choices = {std::int64_t{1}}}}};
  const TunerOptions limits{.trials = 1, .max_steps = kSteps};
  Tuner tuner(limits, make_sampler("grid", {{}, space, 0}), make_scheduler("none", {{}, space, limits}));
  FakeLane lane(4);
  StudyOptions options = with(
      {.ablation = true, .defaults = {{"learning_rate", 0.1}, {"rank", std::int64_t{16}}, {"same", std::int64_t{1}}}});
  options.configure = [](const Params& params) {
    TrainConfig config;
    config.steps = kSteps;
    const Value *rate = find_param(params, "learning_rate"), *rank = find_param(params, "rank");
    config.learning_rate = rate == nullptr ? 0.1 : as_number(*rate);
    if (rank != nullptr && *rank == Value(std::int64_t{8})) config.learning_rate += 0.1;
    return config;
  };
  const StudyResult result = Study(options, tuner, {&lane}, {}).run();
  ASSERT_EQ(result.after.ablation.size(), 3u) << "what did not change is no step";
  EXPECT_EQ(result.after.ablation[0].parameter, "");
  EXPECT_EQ(result.after.ablation[1].parameter, "learning_rate");
  EXPECT_EQ(result.after.ablation[2].parameter, "rank");
  const double rates[] = {0.1, 0.5, 0.6};
  for (std::size_t i = 0; i < 3; ++i)
    EXPECT_DOUBLE_EQ(*result.after.ablation[i].metric, loss_after(rates[i], kSteps, 0)) << i;
}

// Confirming may choose another than the search had: the path is trained with that one's values.
TEST(AfterSearch, ThePathLeadsToTheConfirmedWinner) {
  const SearchSpace space{
      {{.name = "learning_rate", .choices = {0.5, 0.6}}, {.name = "rank", .choices = {std::int64_t{8}}}}};
  const TunerOptions limits{.trials = 2, .max_steps = 2};
  Tuner tuner(limits, make_sampler("grid", {{}, space, 0}), make_scheduler("none", {{}, space, limits}));
  FakeLane lane(5);
  lane.seed_matters = 1.7;  // as in TheWinnerIsTheBestMean: a seed makes the rate of 0.6 look better
  StudyOptions options = options_for(2);
  options.after = {.confirm = ConfirmConfig{.top = 2, .seeds = 1},
                   .ablation = true,
                   .defaults = {{"learning_rate", 0.1}, {"rank", std::int64_t{16}}}};
  options.configure = [base = options.configure](const Params& params) {
    TrainConfig config = base(params);
    config.seed = config.learning_rate == 0.6 ? 1 : 0;
    return config;
  };
  const StudyResult result = Study(options, tuner, {&lane}, {}).run();
  ASSERT_EQ(result.best, 0u);
  ASSERT_NE(ranking(result.trials, Direction::minimize).front(), 0u) << "otherwise nothing is shown";
  ASSERT_EQ(result.after.ablation.size(), 3u);
  EXPECT_EQ(result.after.ablation[1].value, Value(0.5));
  EXPECT_DOUBLE_EQ(*result.after.ablation[1].metric, loss_after(0.5, 2, 0));
  EXPECT_DOUBLE_EQ(*result.after.ablation[2].metric, *result.trials[0].metric);
}

// The configurations between are of the winner too, which is not known before the confirmations are through.
TEST(AfterSearch, ThePathIsPlannedOnceTheConfirmationsAreThrough) {
  const AfterSearch options{.confirm = ConfirmConfig{}, .ablation = true, .defaults = {{"x", 0.0}, {"y", 0.0}}};
  StudyState state;
  EXPECT_TRUE(wants_ablation(options, state));
  state.extras.push_back({.kind = ExtraRun::Kind::confirm, .of = TrialId{0}});
  EXPECT_FALSE(wants_ablation(options, state)) << "it has not begun";
  state.extras.back().started = true;
  EXPECT_FALSE(wants_ablation(options, state)) << "it runs";
  state.extras.back().trial.state = TrialState::completed;
  state.extras.push_back({.kind = ExtraRun::Kind::audit, .of = TrialId{1}});
  EXPECT_TRUE(wants_ablation(options, state)) << "audits choose nobody";
  Trial winner;
  winner.params = {{"x", 1.0}, {"y", 2.0}};
  const std::deque<ExtraRun> runs = plan_ablation(options, winner);
  ASSERT_EQ(runs.size(), 1u);
  EXPECT_EQ(*find_param(runs[0].trial.params, "x"), Value(1.0));
  EXPECT_EQ(*find_param(runs[0].trial.params, "y"), Value(0.0));
  state.extras.push_back(runs.front());
  EXPECT_FALSE(wants_ablation(options, state)) << "it is there";
}

// The results are there: want of memory for a last look leaves the look out, and says so.
TEST(AfterSearch, WantOfMemoryForTheLastLookLosesNothing) {
  FakeLane lane(5);
  const AfterSearch after{.has_test = true, .judged = 2};
  const StudyResult whole = play(after, lane);
  EXPECT_EQ(whole.after.look_failure, "");
  lane.no_room_to_restore = true;
  const StudyResult result = play(after, lane);
  EXPECT_EQ(result.best, whole.best);
  EXPECT_EQ(trials_text(result), trials_text(whole));
  EXPECT_TRUE(result.after.judged.empty());
  ASSERT_TRUE(result.after.test);
  EXPECT_FALSE(result.after.test->best) << "failed, not 0";
  EXPECT_DOUBLE_EQ(*result.after.test->base, *whole.after.test->base) << "who can be measured is";
  EXPECT_EQ(result.after.look_failure, "lane: out of memory");
  EXPECT_EQ(lane.free_slots(), 5) << "nobody stays";
  lane.no_room_to_restore = false;
  lane.fails_to_look = true;
  EXPECT_EQ(play(after, lane).after.look_failure, "out of memory") << "an allocation within the look";
}

TEST(AfterSearch, TheWinnerIsHeldAgainstTheNextAndTheDefaultByExample) {
  const StudyResult result = play({.judged = 2});
  ASSERT_EQ(result.after.judged.size(), 3u);
  EXPECT_EQ(result.after.judged[0].trial, TrialId{1});
  EXPECT_NE(result.after.judged[1].trial, TrialId{1}) << "it is held against another";
  EXPECT_EQ(result.after.judged[2].trial, kDefaultRun);
  for (const JudgedRun& one : result.after.judged) {
    const Trial& trial =
        is_listed(one.trial) ? result.trials[static_cast<std::size_t>(one.trial.value)] : *result.default_run;
    EXPECT_DOUBLE_EQ(options_for(kSteps).metric.over(one.examples), *trial.best_metric);
  }
}

TEST(AfterSearch, TestDataIsScoredOnceByWinnerDefaultAndBase) {
  const StudyResult result = play({.has_test = true});
  ASSERT_TRUE(result.after.test);
  EXPECT_DOUBLE_EQ(*result.after.test->best, 1 + *result.trials[1].best_metric);
  EXPECT_DOUBLE_EQ(*result.after.test->default_run, 1 + *result.default_run->best_metric);
  EXPECT_DOUBLE_EQ(*result.after.test->base, 1 + *result.base_metric);
}

TEST(AfterSearch, APopulationsScheduleIsTrainedAgain) {
  FakeLane lane(7);
  const SearchSpace space{{{.name = "learning_rate", .low = 0.05, .high = 0.6, .log = true}}};
  TunerOptions limits{.trials = 4, .max_steps = kSteps};
  Tuner tuner(limits, make_sampler("random", {{}, space, 3}),
              make_scheduler("pbt", {{{"interval", std::int64_t{2}}}, space, limits}));
  const StudyResult result = Study(with({.confirm = ConfirmConfig{.top = 1, .seeds = 1}}), tuner, {&lane}, {}).run();
  const Trial& best = result.trials[*result.best];
  EXPECT_FALSE(best.best_schedule.empty()) << "otherwise nothing is shown";
  EXPECT_NEAR(result.after.confirmed.front().mean, *best.best_metric, 1e-12) << "the seed changes nothing here";
}

TEST(AfterSearch, ARunThatCannotBeHadIsItsOwnFailure) {
  FakeLane lane(5);
  lane.refused = {extra_id(0)};
  const StudyResult result = play({.confirm = ConfirmConfig{.top = 1, .seeds = 2}}, lane);
  EXPECT_EQ(result.best, 1u);
  EXPECT_EQ(result.after.confirmed.front().metrics.size(), 1u) << "the other seed counts";
  const auto tuner = four_trials();
  StudyOptions options = with({.confirm = ConfirmConfig{.top = 1, .seeds = 1}});
  bool search_is_over = false;
  options.configure = [&, base = options.configure](const Params& params) {
    if (search_is_over) throw bad_input("", "cannot be had");
    return base(params);
  };
  struct Watch : StudyObserver {
    explicit Watch(bool& told) : over(told) {}
    void on_search_end(const StudyState&) override { over = true; }
    bool& over;
  } watch(search_is_over);
  const StudyResult none = Study(options, *tuner, {&lane}, {&watch}).run();
  EXPECT_EQ(none.best, 1u) << "the search is not lost";
  EXPECT_TRUE(none.after.confirms && none.after.confirmed.empty());
}

// Who interrupts it later loses no search.
TEST(AfterSearch, InterruptedItLeavesTheSearchsWinner) {
  FakeLane lane(5);
  StudyOptions options = with({.confirm = ConfirmConfig{.top = 2, .seeds = 1}});
  std::int64_t rounds = 0;
  const std::int64_t searched = play({}).rounds;
  options.stop = [&]() -> std::optional<EndReason> {
    return ++rounds > searched + 2 ? std::optional(EndReason::interrupted) : std::nullopt;
  };
  const auto tuner = four_trials();
  const StudyResult result = Study(options, *tuner, {&lane}, {}).run();
  EXPECT_EQ(result.ended, EndReason::interrupted);
  EXPECT_EQ(result.best, 1u);
  EXPECT_TRUE(result.after.confirmed.empty());
  EXPECT_EQ(lane.free_slots(), 5) << "nothing is left behind";
}

}  // namespace
}  // namespace finetune::testing
