#include <algorithm>
#include <nlohmann/json.hpp>
#include <tuple>

#include "core/error.h"
#include "tuners/options.h"
#include "tuners/samplers/cmaes/run.h"
#include "tuners/samplers/observations.h"
#include "tuners/samplers/samplers.h"

namespace finetune {
namespace cmaes {
namespace {

// Enough trials of others for their best tenth to say something.
constexpr std::size_t kWarmStart = 10;
// Streams of restarts, apart from those of trials, which are keyed on their ids.
constexpr std::uint64_t kRestartStream = std::uint64_t{1} << 62;

struct Options {
  Eigen::Index population = 0;  // 0: by the number of coordinates
  double sigma = 1.0 / 6;
  bool restarts = true;
};

struct Member {
  TrialId id;
  std::int64_t generation;  // of the distribution it was drawn from
  Point point;
};

// Failed trials last. Of the others those that got further are better, whoever ended them: a scheduler stopped the
// rest.
std::tuple<bool, std::int64_t, double, TrialId> rank_of(const TrialRecord& trial) {
  if (trial.state == TrialState::failed) return {true, 0, 0, trial.id};
  if (trial.values.empty()) return {false, 0, 0, trial.id};
  return {false, -trial.values.back().first, trial.values.back().second, trial.id};
}

const TrialRecord* find(std::span<const TrialRecord> trials, TrialId id) {
  const auto at = std::lower_bound(trials.begin(), trials.end(), id,
                                   [](const TrialRecord& trial, TrialId wanted) { return trial.id < wanted; });
  return at != trials.end() && at->id == id ? &*at : nullptr;
}

std::vector<Eigen::VectorXd> observed_best_first(const Coordinates& coordinates, std::span<const TrialRecord> trials) {
  auto observed = observe(trials, kWarmStart).observed;
  std::stable_sort(observed.begin(), observed.end(), [](const auto& a, const auto& b) { return a.value < b.value; });
  std::vector<Eigen::VectorXd> points;
  for (const Observation& observation : observed) {
    if (auto point_N = coordinates.positions(observation.trial->params)) points.push_back(*std::move(point_N));
  }
  return points;
}

// Where to begin, given the trials that others chose: a distribution over their best, the best of few, the first under
// way, or the centre.
Distribution first_distribution(const Coordinates& coordinates, std::span<const TrialRecord> others, double sigma) {
  const auto points = observed_best_first(coordinates, others);
  if (points.size() >= kWarmStart) return warm_start(points);
  if (!points.empty()) return start(points.front(), sigma);
  for (const TrialRecord& trial : others) {
    const auto point_N = coordinates.positions(trial.params);
    if (point_N && trial.state != TrialState::failed) return start(*point_N, sigma);
  }
  return start(Eigen::VectorXd::Constant(coordinates.size(), 0.5), sigma);
}

class Cmaes : public Sampler {
 public:
  Cmaes(SearchSpace space, std::uint64_t seed, Options options)
      : space_(std::move(space)), coordinates_(space_), seed_(seed), options_(options) {}

  std::optional<Params> suggest(TrialId id, std::span<const TrialRecord> trials) override {
    Random random(seed_, Purpose::sampler, static_cast<std::uint64_t>(id.value));
    if (coordinates_.size() == 0) return sample_uniform(space_, random);
    if (!run_) run_ = Run(first_distribution(coordinates_, trials, options_.sigma), first_population());
    learn(trials);
    const Point point = run_->draw(coordinates_, random);
    members_.push_back({id, run_->generation(), point});
    return params_at(point, random);
  }

  nlohmann::json save() const override {
    if (!run_) return nullptr;
    nlohmann::json members = nlohmann::json::array();
    for (const Member& m : members_) {
      members.push_back({m.id.value, m.generation, to_json(m.point.raw_N), to_json(m.point.at_N)});
    }
    return {{"restarts", restarts_}, {"run", run_->save()}, {"members", members}};
  }

  void load(const nlohmann::json& state) override {
    if (state.is_null()) {
      run_.reset();
      members_.clear();
      restarts_ = 0;
      return;
    }
    std::vector<Member> members;
    for (const auto& json : state.at("members")) {
      const Point point{vector_from(json.at(2), coordinates_.size()), vector_from(json.at(3), coordinates_.size())};
      members.push_back({{json.at(0).get<std::int64_t>()}, json.at(1).get<std::int64_t>(), point});
    }
    const auto restarts = state.at("restarts").get<std::uint64_t>();
    run_ = Run::load(state.at("run"), coordinates_.size());
    members_ = std::move(members);
    restarts_ = restarts;
  }

 private:
  struct Returned {
    Member member;
    const TrialRecord* trial;
  };

  Eigen::Index first_population() const {
    return options_.population > 0 ? options_.population : default_population(coordinates_.size());
  }

  Params params_at(const Point& point, Random& random) const {
    Params params;
    Eigen::Index i = 0;  // coordinates are in the space's order
    for (const auto& spec : space_.parameters) {
      const double u = random.uniform();
      if (i < coordinates_.size() && coordinates_.spec(i).name == spec.name) {
        params.emplace_back(spec.name, coordinates_.value(i, point.at_N[i]));
        ++i;
      } else if (is_active(spec, params)) {
        params.emplace_back(spec.name, value_at(spec, u));
      }
    }
    return params;
  }

  // Every generation that is complete. Learning waits for members, not for their whole generation: with many trials
  // side by side a late one counts with those that follow it.
  void learn(std::span<const TrialRecord> trials) {
    for (auto generation = take_generation(trials); !generation.empty(); generation = take_generation(trials)) {
      std::vector<Evaluated> best_first;
      std::vector<double> values;
      for (const Returned& returned : generation) {
        best_first.push_back(evaluated(returned));
        const TrialRecord& trial = *returned.trial;
        if (trial.state != TrialState::failed && !trial.values.empty()) values.push_back(trial.values.back().second);
      }
      std::sort(values.begin(), values.end());
      run_->learn(coordinates_, best_first, values);
      if (options_.restarts && run_->has_converged()) restart();
    }
  }

  // The lowest ids among members that have come to rest, best first; empty while there are too few.
  std::vector<Returned> take_generation(std::span<const TrialRecord> trials) {
    std::vector<Returned> ready;
    std::vector<Member> rest;
    const auto wanted = static_cast<std::size_t>(run_->population());
    for (const Member& member : members_) {
      const TrialRecord* trial = find(trials, member.id);
      const bool is_ready = trial != nullptr && trial->state != TrialState::running && ready.size() < wanted;
      if (is_ready)
        ready.push_back({member, trial});
      else
        rest.push_back(member);
    }
    if (ready.size() < wanted) return {};
    members_ = std::move(rest);
    std::sort(ready.begin(), ready.end(),
              [](const Returned& a, const Returned& b) { return rank_of(*a.trial) < rank_of(*b.trial); });
    return ready;
  }

  // A trial that ran with other values than proposed (listed by the user, changed during training) teaches by those.
  Evaluated evaluated(const Returned& returned) const {
    const Point& point = returned.member.point;
    if (ran_as_proposed(*returned.trial, point)) {
      return {point.raw_N, returned.member.generation != run_->generation()};
    }
    return {coordinates_.positions(returned.trial->params).value_or(point.raw_N), true};
  }

  bool ran_as_proposed(const TrialRecord& trial, const Point& point) const {
    for (Eigen::Index i = 0; i < coordinates_.size(); ++i) {
      const Value* value = find_param(trial.params, coordinates_.spec(i).name);
      if (value == nullptr || *value != coordinates_.value(i, point.at_N[i])) return false;
    }
    return true;
  }

  // Anywhere, with twice the members: Auger and Hansen, "A Restart CMA Evolution Strategy With Increasing Population
  // Size" (CEC 2005).
  void restart() {
    Random random(seed_, Purpose::sampler, kRestartStream + ++restarts_);
    Eigen::VectorXd mean_N(coordinates_.size());
    for (double& x : mean_N) x = random.uniform();
    run_ = Run(start(mean_N, options_.sigma), 2 * run_->population());
    members_.clear();
  }

  SearchSpace space_;
  Coordinates coordinates_;
  std::uint64_t seed_;
  Options options_;
  std::optional<Run> run_;
  std::vector<Member> members_;  // drawn in this run and not learned from yet, in id order
  std::uint64_t restarts_ = 0;
};

std::unique_ptr<Sampler> make(const OptionReader& reader, const SamplerRequest& request) {
  Options options;
  options.population = reader.whole("population", 0);
  options.sigma = reader.number_if_given("sigma").value_or(options.sigma);
  options.restarts = reader.choice("restarts") == "ipop";
  return std::make_unique<Cmaes>(request.space, request.seed, options);
}

}  // namespace
}  // namespace cmaes

SamplerKind cmaes_kind() {
  return {"cmaes",
          "CMA-ES over the numbers that are always active, the rest drawn uniformly",
          {without(whole_option("population", "trials that it learns from at once", std::nullopt, 4, 10000),
                   "4 + 3 ln n for n numbers"),
           without(number_option("sigma", "first deviation, as a share of the range", std::nullopt, 1e-6, 10), "1/6"),
           choice_option("restarts", "with a larger population when it has converged, or not", {"ipop", "none"})},
          cmaes::make,
          true};
}

}  // namespace finetune
