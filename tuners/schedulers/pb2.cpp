#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "tuners/saved_state.h"
#include "tuners/schedulers/improvement_model.h"
#include "tuners/schedulers/population.h"
#include "tuners/schedulers/rungs.h"
#include "tuners/schedulers/schedulers.h"

namespace finetune {
namespace {

constexpr std::size_t kMostRows = 100;  // the newest; older ones are forgotten by the kernel anyway
constexpr int kCandidates = 200;        // at random, and as many around the donor
constexpr double kAround = 0.1;

struct Pb2Options {
  std::int64_t interval = 10;
  double quantile = 0.25;
  std::vector<std::string> mutate;
};

class Pb2 : public Scheduler {
 public:
  Pb2(Pb2Options options, SearchSpace space, std::int64_t max_steps, std::uint64_t seed)
      : options_(std::move(options)),
        space_(std::move(space)),
        max_steps_(max_steps),
        random_(seed, Purpose::scheduler) {
    for (const auto& spec : space_.parameters) {
      const bool mutated =
          std::find(options_.mutate.begin(), options_.mutate.end(), spec.name) != options_.mutate.end();
      if (mutated && !spec.categorical()) numeric_.push_back(&spec);
    }
  }

  void on_reports(std::span<const TrialRecord* const> reported, std::span<const TrialRecord>,
                  std::vector<Action>& actions) override {
    const auto ready = ready_members(reported, options_.interval, max_steps_);
    if (ready.empty()) return;
    learn(ready);
    const std::int64_t count = copiers(static_cast<std::int64_t>(ready.size()), options_.quantile);
    if (count > 0) exchange(ready, count, actions);
  }

  void on_end(const TrialRecord& trial, std::span<const TrialRecord>, std::vector<Action>&) override {
    const auto before = before_.find(trial.id);
    if (trial.state == TrialState::failed) {
      const double rank = before == before_.end() ? 0.5 : before->second.rank;
      const std::int64_t round = next_look(trial.step, options_.interval) / options_.interval;
      rows_.push_back({round, rank, positions(trial.params), 0, true});
    }
    if (before != before_.end()) before_.erase(before);
  }

  std::optional<std::int64_t> next_milestone(TrialId, std::int64_t step) const override {
    return next_look(step, options_.interval);
  }
  Looks looks() const override { return {.interval = options_.interval}; }

  nlohmann::json save() const override;
  void load(const nlohmann::json& state, std::span<const TrialRecord> trials) override;

 private:
  struct Before {
    double value = 0;
    double rank = 0;  // 0 the best of its round, 1 the worst
  };

  std::vector<double> positions(const Params& params) const {
    std::vector<double> x;
    for (const ParameterSpec* spec : numeric_) {
      const Value* value = find_param(params, spec->name);
      x.push_back(value == nullptr ? 0.5 : position_of(*spec, *value));
    }
    return x;
  }

  // A row for every member whose value at the start of this interval is known.
  void learn(std::span<const TrialRecord* const> ready) {
    for (const TrialRecord* trial : ready) {
      const auto before = before_.find(trial->id);
      const double value = trial->values.back().second;
      const std::int64_t round = trial->step / options_.interval;
      if (before != before_.end()) {
        rows_.push_back({round, before->second.rank, positions(trial->params), before->second.value - value});
      } else if (trial->values.size() > 1) {
        rows_.push_back({round, 0.5, positions(trial->params), trial->values.front().second - value});
      }
    }
    if (rows_.size() > kMostRows) rows_.erase(rows_.begin(), rows_.end() - kMostRows);
    const double last = std::max<double>(1, static_cast<double>(ready.size()) - 1);
    for (std::size_t i = 0; i < ready.size(); ++i) {
      before_[ready[i]->id] = {ready[i]->values.back().second, static_cast<double>(i) / last};
    }
  }

  void exchange(std::span<const TrialRecord* const> ready, std::int64_t count, std::vector<Action>& actions) {
    std::vector<const TrialRecord*> losers(ready.end() - count, ready.end());
    std::sort(losers.begin(), losers.end(), [](const TrialRecord* a, const TrialRecord* b) { return a->id < b->id; });
    std::optional<ImprovementModel> model;
    if (!rows_.empty()) model.emplace(rows_);
    const std::int64_t round = ready.front()->step / options_.interval + 1;
    for (std::size_t i = 0; model && i + losers.size() < ready.size(); ++i) {
      model->add_pending({round, before_.at(ready[i]->id).rank, positions(ready[i]->params), 0});
    }
    for (const TrialRecord* loser : losers) {
      const TrialRecord* donor = ready[random_.below(static_cast<std::uint64_t>(count))];
      before_[loser->id] = before_.at(donor->id);  // it goes on from the donor's weights
      actions.push_back(
          {.trial = loser->id,
           .what = Action::Do::copy,
           .params = explore(*donor, round, model),
           .from = donor->id,
           .reason = "step " + std::to_string(loser->step) + ": copies trial " + std::to_string(donor->id.value)});
    }
  }

  // Numbers as the model likes them best, choices by a neighbour. Without a model as pbt does it.
  Params explore(const TrialRecord& donor, std::int64_t round, std::optional<ImprovementModel>& model) {
    const auto draw = [&](const ParameterSpec& spec) { return value_at(spec, random_.uniform()); };
    const auto factor = [&] { return random_.below(2) == 0 ? 0.8 : 1.2; };
    if (!model || numeric_.empty()) {
      const auto scale = [&](const ParameterSpec& spec, const Value& present) {
        return perturb(spec, present, factor());
      };
      return explored(space_, options_.mutate, donor.params, scale, draw);
    }
    const ImprovementRow best = most_promising(donor, round, *model);
    model->add_pending(best);
    const auto move = [&](const ParameterSpec& spec, const Value& present) {
      const auto found = std::find(numeric_.begin(), numeric_.end(), &spec);
      if (found == numeric_.end()) return perturb(spec, present, factor());
      return value_at(spec, best.x[static_cast<std::size_t>(found - numeric_.begin())]);
    };
    return explored(space_, options_.mutate, donor.params, move, draw);
  }

  ImprovementRow most_promising(const TrialRecord& donor, std::int64_t round, const ImprovementModel& model) {
    const std::vector<double> centre = positions(donor.params);
    ImprovementRow best{round, before_.at(donor.id).rank, centre, 0};
    double highest = model.upper_bound(best);
    ImprovementRow candidate = best;
    for (int k = 0; k < 2 * kCandidates; ++k) {
      for (std::size_t i = 0; i < centre.size(); ++i) {
        const double u = k < kCandidates ? random_.uniform() : centre[i] + kAround * random_.normal();
        candidate.x[i] = std::clamp(u, 0.0, 0x1.fffffffffffffp-1);  // positions are below 1
      }
      const double bound = model.upper_bound(candidate);
      if (bound > highest) highest = bound, best = candidate;
    }
    return best;
  }

  Pb2Options options_;
  SearchSpace space_;
  std::vector<const ParameterSpec*> numeric_;  // mutated numbers, in the space's order
  std::int64_t max_steps_;
  Random random_;
  std::vector<ImprovementRow> rows_;
  std::map<TrialId, Before> before_;
};

nlohmann::json Pb2::save() const {
  auto rows = nlohmann::json::array(), before = nlohmann::json::array();
  for (const auto& row : rows_) rows.push_back({row.round, row.before, row.x, row.gain, row.failed});
  for (const auto& [id, start] : before_) before.push_back({id.value, start.value, start.rank});
  return {{"random", random_.position()}, {"rows", rows}, {"before", before}};
}

void Pb2::load(const nlohmann::json& state, std::span<const TrialRecord> trials) {
  std::vector<ImprovementRow> rows;
  for (const auto& json : state.at("rows")) {
    rows.push_back({count_from(json.at(0)), json.at(1).get<double>(), json.at(2).get<std::vector<double>>(),
                    json.at(3).get<double>(), json.at(4).get<bool>()});
    if (rows.back().x.size() != numeric_.size()) throw std::runtime_error("a row of another space");
  }
  std::map<TrialId, Before> before;
  for (const auto& json : state.at("before")) {
    before[trial_from(json.at(0), trials)] = {json.at(1).get<double>(), json.at(2).get<double>()};
  }
  random_.seek(state.at("random").get<std::uint64_t>());
  rows_ = std::move(rows);
  before_ = std::move(before);
}

std::unique_ptr<Scheduler> make_pb2(const OptionReader& reader, const SchedulerRequest& request) {
  Pb2Options options;
  options.interval = reader.whole("interval");
  options.quantile = reader.number("quantile");
  options.mutate = read_mutated_names(reader, request);
  return std::make_unique<Pb2>(std::move(options), request.space, request.tuner.max_steps, request.tuner.seed);
}

}  // namespace

SchedulerKind pb2_kind() {
  return {.name = "pb2",
          .what = "pbt whose new numbers maximise a Gaussian process of the improvement in an interval",
          .options = population_options(),
          .make = make_pb2,
          .stops_none = true,
          .one_process = true};
}

}  // namespace finetune
