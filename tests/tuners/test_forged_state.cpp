// A tuner's saved state is untrusted: whatever stands in it, loading refuses it, or the study goes on; over the
// registry. Under the sanitizers this also finds what is indexed or counted with unchecked.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "core/error.h"
#include "core/random.h"
#include "tuners/registry.h"

namespace finetune::testing {
namespace {

using Json = nlohmann::json;

SearchSpace space_for(const std::string& sampler) {
  SearchSpace space;
  space.parameters = {{.name = "kind", .choices = {std::string("a"), std::string("b")}},
                      {.name = "whole", .low = 1, .high = 9, .integer = true, .step = 2}};
  if (sampler != "grid") space.parameters.push_back({.name = "rate", .low = 1e-5, .high = 1e-1, .log = true});
  return space;
}

Params options_for(const std::string& scheduler) {
  if (scheduler == "threshold") return {{"upper", 10.0}};
  if (scheduler == "pbt" || scheduler == "pb2") return {{"interval", std::int64_t{3}}};
  if (scheduler == "replay") return {{"schedule", std::string("3 whole=5,6 whole=7")}};
  return {};
}

std::unique_ptr<Tuner> make(const std::string& sampler, const std::string& scheduler) {
  const SearchSpace space = space_for(sampler);
  const TunerOptions options{.trials = 14, .max_steps = 12, .concurrent = 4, .seed = 3};
  const Params sampler_options = sampler == "tpe" ? Params{{"startup", std::int64_t{3}}} : Params{};
  return std::make_unique<Tuner>(options, make_sampler(sampler, {sampler_options, space, 3}),
                                 make_scheduler(scheduler, {options_for(scheduler), space, options}));
}

double value_of(TrialId id, std::int64_t step) {
  return Random(11, Purpose::test, static_cast<std::uint64_t>(id.value)).uniform() + 1.0 / static_cast<double>(step);
}

void play(Tuner& tuner, std::int64_t rounds) {
  for (std::int64_t round = 0; round < rounds; ++round) {
    std::vector<Action> actions;
    tuner.ask(2, actions);
    std::vector<Report> reports;
    for (const auto& trial : tuner.trials()) {
      if (trial.state != TrialState::running) continue;
      const std::int64_t step = std::min<std::int64_t>(12, std::max(trial.step + 1, tuner.next_milestone(trial.id)));
      reports.push_back({.trial = trial.id, .step = step, .metric = value_of(trial.id, step)});
    }
    if (reports.empty() && tuner.exhausted()) break;
    tuner.report(reports, actions);
  }
}

// Where the state differs in kind: the first and last of each list stand for the others.
void collect(const Json& json, const Json::json_pointer& at, std::vector<Json::json_pointer>& found) {
  if (!at.empty()) found.push_back(at);
  if (json.is_object()) {
    for (const auto& [name, child] : json.items()) collect(child, at / name, found);
  } else if (json.is_array() && !json.empty()) {
    for (const std::size_t i : std::set<std::size_t>{0, json.size() - 1}) collect(json[i], at / i, found);
  }
}

std::vector<Json> forgeries(const Json& json) {
  const std::int64_t huge = std::int64_t{1} << 62;
  if (json.is_number_integer()) return {-1, 0, 1, 13, 1 << 20, huge, ~std::uint64_t{0}, 0.5, "x", nullptr};
  if (json.is_number()) return {-1e308, 0.0, 1e308, huge, "x", nullptr};
  if (json.is_array() && !json.empty()) {
    Json shorter = json, longer = json;
    shorter.erase(shorter.size() - 1);
    longer.push_back(json.back());
    return {shorter, longer, Json::array(), nullptr};
  }
  return {0, -1, "x", Json::array(), Json::object(), nullptr, !json.is_boolean() || !json.get<bool>()};
}

class ForgedState : public ::testing::TestWithParam<std::pair<std::string, std::string>> {};

TEST_P(ForgedState, IsRefusedOrPlayed) {
  const auto& [sampler, scheduler] = GetParam();
  for (const std::int64_t rounds : {3, 11}) {
    const auto tuner = make(sampler, scheduler);
    play(*tuner, rounds);
    const Json whole = tuner->save();
    std::vector<Json::json_pointer> places;
    collect(whole, Json::json_pointer(), places);
    ASSERT_GT(places.size(), 10u);
    for (const auto& place : places) {
      for (const Json& forgery : forgeries(whole.at(place))) {
        Json forged = whole;
        forged.at(place) = forgery;
        SCOPED_TRACE(place.to_string() + " = " + forgery.dump());
        try {
          const auto loaded = make(sampler, scheduler);
          loaded->load(forged);
          play(*loaded, 20);
        } catch (const Error&) {
        } catch (const std::exception& error) {
          ADD_FAILURE() << error.what();
        }
      }
    }
  }
}

std::vector<std::pair<std::string, std::string>> methods() {
  std::vector<std::pair<std::string, std::string>> list;
  for (const auto& kind : samplers()) list.emplace_back(kind.name, "none");
  for (const auto& kind : schedulers()) {
    if (kind.name != "none") list.emplace_back("random", kind.name);
  }
  return list;
}

INSTANTIATE_TEST_SUITE_P(All, ForgedState, ::testing::ValuesIn(methods()),
                         [](const auto& info) { return info.param.first + "_" + info.param.second; });

}  // namespace
}  // namespace finetune::testing
