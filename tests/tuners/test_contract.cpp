// What every sampler and scheduler must keep to, run over the registry.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "core/error.h"
#include "core/random.h"
#include "tuners/registry.h"

namespace finetune::testing {
namespace {

// Every kind of parameter; a grid cannot list the continuous ones.
SearchSpace space_for(const std::string& sampler) {
  SearchSpace space;
  space.parameters = {
      {.name = "kind", .choices = {std::string("a"), std::string("b")}},
      {.name = "whole", .low = 1, .high = 9, .integer = true, .step = 2},
      {.name = "stepped", .low = 0, .high = 1, .step = 0.25},
      {.name = "only_b", .choices = {std::int64_t{8}, std::int64_t{16}}, .when = {{"kind", {std::string("b")}}}}};
  if (sampler == "grid") return space;
  space.parameters.push_back({.name = "rate", .low = 1e-5, .high = 1e-1, .log = true});
  space.parameters.push_back({.name = "share", .low = -1, .high = 1});
  space.parameters.push_back({.name = "log_whole", .low = 1, .high = 1000, .log = true, .integer = true});
  space.parameters.push_back(make_ordinal("size", {std::string("small"), std::string("medium"), std::string("large")}));
  return space;
}

Params options_for(const std::string& scheduler) {
  if (scheduler == "threshold") return {{"upper", 0.9}};
  if (scheduler == "pbt" || scheduler == "pb2") return {{"interval", std::int64_t{3}}};
  if (scheduler == "replay") return {{"schedule", std::string("3 whole=5 stepped=0.5,6 whole=7")}};
  return {};
}

std::unique_ptr<Tuner> make(const std::string& sampler, const std::string& scheduler,
                            Direction direction = Direction::minimize, std::uint64_t seed = 3) {
  const SearchSpace space = space_for(sampler);
  TunerOptions options{.trials = 20, .max_steps = 12, .concurrent = 6, .direction = direction, .seed = seed};
  return std::make_unique<Tuner>(options, make_sampler(sampler, {{}, space, seed}),
                                 make_scheduler(scheduler, {options_for(scheduler), space, options}));
}

void expect_inside(const SearchSpace& space, const Params& params) {
  for (const auto& spec : space.parameters) {
    const Value* value = find_param(params, spec.name);
    EXPECT_EQ(value != nullptr, is_active(spec, params)) << spec.name;
    if (value == nullptr) continue;
    if (!spec.choices.empty()) {
      EXPECT_NE(std::find(spec.choices.begin(), spec.choices.end(), *value), spec.choices.end()) << spec.name;
      continue;
    }
    EXPECT_EQ(std::holds_alternative<std::int64_t>(*value), spec.integer) << spec.name;
    const double number = as_number(*value);
    EXPECT_GE(number, spec.low) << spec.name;
    EXPECT_LE(number, spec.high) << spec.name;
    if (spec.spacing() > 0) {
      const double steps = (number - spec.low) / spec.spacing();
      EXPECT_NEAR(steps, std::round(steps), 1e-9) << spec.name;
    }
  }
}

// A made-up objective: a trial's own curve, a pure function of its id and step.
double value_of(TrialId id, std::int64_t step) {
  Random random(11, Purpose::test, static_cast<std::uint64_t>(id.value));
  return random.uniform() + 1.0 / static_cast<double>(step);
}

std::string text_of(const Action& action) {
  return std::to_string(action.trial.value) + to_text(action.what) + std::to_string(action.from.value) +
         to_json(action.params).dump();
}

// Plays a whole study; returns everything that was asked and decided. `stop_after`: save and load into a fresh tuner
// then.
std::vector<std::string> play(std::unique_ptr<Tuner> tuner, double sign, bool reversed, std::int64_t reload_after = -1,
                              const std::function<std::unique_ptr<Tuner>()>& fresh = {}) {
  std::vector<std::string> log;
  for (std::int64_t round = 0; round < 400; ++round) {
    if (round == reload_after) {
      const std::string saved = tuner->save().dump();
      tuner = fresh();
      tuner->load(nlohmann::json::parse(saved));
    }
    std::vector<Action> actions;
    for (const auto& trial : tuner->ask(3, actions))
      log.push_back("ask " + std::to_string(trial.id.value) + to_json(trial.params).dump());
    std::vector<Report> reports;
    for (const auto& trial : tuner->trials()) {
      if (trial.state != TrialState::running) continue;
      reports.push_back(
          {.trial = trial.id, .step = trial.step + 1, .metric = sign * value_of(trial.id, trial.step + 1)});
    }
    if (reports.empty() && tuner->exhausted()) break;
    if (reversed) std::reverse(reports.begin(), reports.end());
    tuner->report(reports, actions);
    for (const auto& action : actions) log.push_back(text_of(action));
  }
  const TrialRecord* best = tuner->best();
  log.push_back("best " + std::to_string(best == nullptr ? -1 : best->id.value));
  return log;
}

class Contract : public ::testing::TestWithParam<std::pair<std::string, std::string>> {
 protected:
  std::unique_ptr<Tuner> tuner(Direction direction = Direction::minimize, std::uint64_t seed = 3) const {
    return make(GetParam().first, GetParam().second, direction, seed);
  }
};

TEST_P(Contract, ParametersLieInTheSpaceAndInactiveOnesAreAbsent) {
  const auto t = tuner();
  std::vector<Action> actions;
  for (int i = 0; i < 20; ++i) {
    for (const auto& trial : t->ask(1, actions)) expect_inside(space_for(GetParam().first), trial.params);
    for (const auto& trial : std::vector<TrialRecord>(t->trials())) {
      if (trial.state == TrialState::running) t->tell(trial.id, TrialState::completed, 1.0, actions);
    }
  }
  EXPECT_EQ(t->trials().size(), 20u);
  EXPECT_TRUE(t->exhausted());
}

TEST_P(Contract, TheSameSeedGivesTheSameStudy) {
  EXPECT_EQ(play(tuner(), 1, false), play(tuner(), 1, false));
}

TEST_P(Contract, TheOrderOfReportsDoesNotMatter) {
  EXPECT_EQ(play(tuner(), 1, false), play(tuner(), 1, true));
}

TEST_P(Contract, MaximisingNegatedValuesGivesTheSameStudy) {
  if (GetParam().second == "threshold") return;  // its bounds are in the metric's own direction
  EXPECT_EQ(play(tuner(), 1, false), play(tuner(Direction::maximize), -1, false));
}

TEST_P(Contract, SavingAndLoadingInTheMiddleChangesNothing) {
  for (const std::int64_t round : {1, 5, 13})
    EXPECT_EQ(play(tuner(), 1, false), play(tuner(), 1, false, round, [&] { return tuner(); }))
        << "after round " << round;
}

TEST_P(Contract, WhatIsNotFiniteFailsAloneAndIsNeverBest) {
  for (const double bad : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity(),
                           -std::numeric_limits<double>::infinity()}) {
    const auto t = tuner();
    std::vector<Action> actions;
    const auto asked = t->ask(3, actions);
    ASSERT_EQ(asked.size(), 3u);
    const std::vector<Report> reports{{.trial = asked[0].id, .step = 1, .metric = 0.5},
                                      {.trial = asked[1].id, .step = 1, .metric = bad}};
    actions.clear();
    t->report(reports, actions);
    EXPECT_EQ(t->find(asked[1].id)->state, TrialState::failed);
    EXPECT_TRUE(std::any_of(actions.begin(), actions.end(),
                            [&](const Action& a) { return a.trial == asked[1].id && a.what == Action::Do::stop; }));
    ASSERT_NE(t->best(), nullptr);
    EXPECT_EQ(t->best()->id, asked[0].id);
  }
}

// What a host sees: it believes only actions, and checks that each makes sense.
class Host {
 public:
  explicit Host(Tuner& tuner) : tuner_(tuner) {}
  void apply(const std::vector<Action>& actions) {
    for (const Action& action : actions) {
      TrialState& state = states_.at(action.trial);
      if (action.what == Action::Do::pause) {
        EXPECT_EQ(state, TrialState::running);
      }
      if (action.what == Action::Do::resume) {
        EXPECT_EQ(state, TrialState::paused);
      }
      if (action.what == Action::Do::stop) state = TrialState::stopped;
      if (action.what == Action::Do::pause) state = TrialState::paused;
      if (action.what == Action::Do::resume) state = TrialState::running;
      if (action.what == Action::Do::copy) {
        EXPECT_EQ(to_json(action.params), to_json(tuner_.find(action.trial)->params));
      }
    }
  }
  void start(TrialId id) { states_[id] = TrialState::running; }
  void complete(TrialId id) { states_[id] = TrialState::completed; }
  std::vector<TrialId> running() const {
    std::vector<TrialId> ids;
    for (const auto& [id, state] : states_) {
      if (state == TrialState::running) ids.push_back(id);
    }
    return ids;
  }

 private:
  Tuner& tuner_;
  std::map<TrialId, TrialState> states_;
};

// Every fourth trial breaks, some at a rung and some between two. The host asks until "done" and not once more, so what
// waits must be resumed by answers to reports.
TEST_P(Contract, AFailureKeepsNobodyWaitingAndTheBooksStayRight) {
  const auto t = tuner();
  Host host(*t);
  std::int64_t completed = 0;
  for (int round = 0; round < 1000; ++round) {
    std::vector<Action> actions;
    if (!t->exhausted()) {
      for (const auto& trial : t->ask(6, actions)) host.start(trial.id);
      host.apply(actions);
    }
    const std::vector<TrialId> running = host.running();
    ASSERT_LE(running.size(), 6u);
    if (running.empty()) break;
    std::vector<Report> reports;
    for (const TrialId id : running) {
      const std::int64_t step = t->find(id)->step + 1;
      const bool breaks = id.value % 4 == 1 && step == 1 + id.value % 3;
      reports.push_back({.trial = id, .step = step, .metric = breaks ? std::nan("") : value_of(id, step)});
    }
    actions.clear();
    t->report(reports, actions);
    for (const Report& report : reports) {
      if (t->find(report.trial)->state == TrialState::completed) host.complete(report.trial), ++completed;
    }
    host.apply(actions);
    for (const auto& trial : t->trials()) expect_inside(space_for(GetParam().first), trial.params);
    const auto now = host.running();
    for (const auto& trial : t->trials()) {
      const bool runs = std::find(now.begin(), now.end(), trial.id) != now.end();
      ASSERT_EQ(runs, trial.state == TrialState::running) << "trial " << trial.id.value << " in round " << round;
    }
  }
  EXPECT_TRUE(host.running().empty());
  EXPECT_TRUE(t->exhausted());
  const std::string& scheduler = GetParam().second;
  const bool may_stop_all = scheduler == "threshold" || scheduler == "pasha";
  EXPECT_TRUE(may_stop_all || completed > 0);
}

TEST_P(Contract, NoMoreThanConcurrentRun) {
  const auto t = tuner();
  std::vector<Action> actions;
  EXPECT_EQ(t->ask(100, actions).size(), 6u);
  EXPECT_TRUE(t->ask(1, actions).empty());
}

TEST_P(Contract, DamagedStateIsRefusedAndChangesNothing) {
  const auto t = tuner();
  std::vector<Action> actions;
  t->ask(2, actions);
  const auto before = t->save();
  auto damaged = before;
  damaged["trials"][0]["state"] = "dancing";
  EXPECT_THROW(t->load(damaged), Error);
  EXPECT_THROW(t->load(nlohmann::json::array()), Error);
  EXPECT_EQ(t->save(), before);
}

TEST_P(Contract, UnknownOptionsAreRefusedByName) {
  const SearchSpace space = space_for(GetParam().first);
  TunerOptions options{.max_steps = 12};
  Params wrong = options_for(GetParam().second);
  wrong.emplace_back("bogus", 1.0);
  try {
    make_scheduler(GetParam().second, {wrong, space, options});
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("tune.scheduler.bogus"), std::string::npos) << error.what();
  }
}

std::vector<std::pair<std::string, std::string>> all_pairs() {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const auto& scheduler : scheduler_names()) pairs.emplace_back("random", scheduler);
  for (const auto& sampler : sampler_names()) pairs.emplace_back(sampler, "asha");
  return pairs;
}

INSTANTIATE_TEST_SUITE_P(Registry, Contract, ::testing::ValuesIn(all_pairs()), [](const auto& info) {
  return info.param.first + "_" + info.param.second + "_" + std::to_string(info.index);
});

TEST(Samplers, GridGivesEachCellOnceInProductOrder) {
  const SearchSpace space = space_for("grid");
  const auto grid = make_sampler("grid", {{}, space, 0});
  std::set<std::string> cells;
  std::vector<std::string> order;
  for (std::int64_t id = 0;; ++id) {
    const auto params = grid->suggest({id}, {});
    if (!params) break;
    order.push_back(to_json(*params).dump());
    cells.insert(order.back());
  }
  // kind a: 5 x 5 cells; kind b: those times two.
  EXPECT_EQ(order.size(), 75u);
  EXPECT_EQ(cells.size(), 75u);
  EXPECT_EQ(order[0], R"({"kind":"a","whole":1,"stepped":0.0})");
  EXPECT_EQ(order[1], R"({"kind":"a","whole":1,"stepped":0.25})");
  EXPECT_EQ(order[25], R"({"kind":"b","whole":1,"stepped":0.0,"only_b":8})");
  EXPECT_EQ(order[26], R"({"kind":"b","whole":1,"stepped":0.0,"only_b":16})");
}

TEST(Samplers, AGridListsAnOrdinalInItsOrder) {
  SearchSpace space{{make_ordinal("size", {std::string("small"), std::string("large")})}};
  const auto grid = make_sampler("grid", {{}, space, 0});
  EXPECT_EQ(*grid->suggest({0}, {}), (Params{{"size", std::string("small")}}));
  EXPECT_EQ(*grid->suggest({1}, {}), (Params{{"size", std::string("large")}}));
  EXPECT_EQ(grid->suggest({2}, {}), std::nullopt);
}

TEST(Samplers, AGridOverAContinuumIsRefused) {
  SearchSpace space;
  space.parameters = {{.name = "rate", .low = 0, .high = 1}};
  EXPECT_THROW(make_sampler("grid", {{}, space, 0}), Error);
}

TEST(Tuner, TenThousandTrialsStayCheap) {
  const SearchSpace space = space_for("random");
  TunerOptions options{.trials = 10000, .max_steps = 9};
  Tuner tuner(options, make_sampler("random", {{}, space, 1}), make_scheduler("asha", {{}, space, options}));
  std::vector<Action> actions;
  std::int64_t ended = 0;
  while (!tuner.exhausted()) {
    actions.clear();
    for (const auto& trial : tuner.ask(1, actions)) {
      const Report report{.trial = trial.id, .step = 1, .metric = value_of(trial.id, 1)};
      tuner.report(std::span(&report, 1), actions);
      if (tuner.find(trial.id)->state == TrialState::running)
        tuner.tell(trial.id, TrialState::completed, std::nullopt, actions);
      ++ended;
    }
  }
  EXPECT_EQ(ended, 10000);
}

}  // namespace
}  // namespace finetune::testing
