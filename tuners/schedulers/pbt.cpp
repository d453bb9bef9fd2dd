#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/number.h"
#include "tuners/schedulers/population.h"
#include "tuners/schedulers/rungs.h"
#include "tuners/schedulers/schedulers.h"

namespace finetune {
namespace {

struct PbtOptions {
  std::int64_t interval = 10;
  double quantile = 0.25, resample_probability = 0.25;
  std::vector<double> factors{0.8, 1.2};
  std::vector<std::string> mutate;
  bool tournament = false;
  double min_diversity = 0.02, fresh_rate = 0.5;
};

// Who copies from whom.
struct Exchange {
  const TrialRecord* loser;
  const TrialRecord* donor;
};

// The worst `count` copy one of the best `count` each. `ready` is sorted, best first.
std::vector<Exchange> truncate(std::span<const TrialRecord* const> ready, std::int64_t count, Random& random) {
  std::vector<Exchange> exchanges;
  for (const TrialRecord* loser : ready.last(static_cast<std::size_t>(count))) exchanges.push_back({loser, nullptr});
  std::sort(exchanges.begin(), exchanges.end(),
            [](const Exchange& a, const Exchange& b) { return a.loser->id < b.loser->id; });
  for (Exchange& exchange : exchanges) exchange.donor = ready[random.below(static_cast<std::uint64_t>(count))];
  return exchanges;
}

// Each meets one other; who is worse copies. The worst half at most, so that a population is never all copies.
std::vector<Exchange> compete(std::span<const TrialRecord* const> ready, Random& random) {
  std::vector<Exchange> exchanges;
  for (std::size_t own = 0; ready.size() > 1 && own < ready.size(); ++own) {
    const std::size_t draw = random.below(ready.size() - 1);
    const std::size_t other = draw < own ? draw : draw + 1;
    if (other < own && own >= (ready.size() + 1) / 2) exchanges.push_back({ready[own], ready[other]});
  }
  std::sort(exchanges.begin(), exchanges.end(),
            [](const Exchange& a, const Exchange& b) { return a.loser->id < b.loser->id; });
  return exchanges;
}

class Pbt : public Scheduler {
 public:
  Pbt(PbtOptions options, SearchSpace space, std::int64_t max_steps, std::uint64_t seed)
      : options_(std::move(options)),
        space_(std::move(space)),
        max_steps_(max_steps),
        random_(seed, Purpose::scheduler) {}

  void on_reports(std::span<const TrialRecord* const> reported, std::span<const TrialRecord>,
                  std::vector<Action>& actions) override {
    const auto ready = ready_members(reported, options_.interval, max_steps_);
    if (ready.empty()) return;
    const std::int64_t count = copiers(static_cast<std::int64_t>(ready.size()), options_.quantile);
    const bool collapsed = diversity(space_, options_.mutate, ready) < options_.min_diversity;
    for (const auto& [loser, donor] : options_.tournament ? compete(ready, random_) : truncate(ready, count, random_)) {
      const bool fresh = collapsed && random_.uniform() < options_.fresh_rate;
      actions.push_back({.trial = loser->id,
                         .what = Action::Do::copy,
                         .params = explore(donor->params, fresh ? 1 : options_.resample_probability),
                         .from = donor->id,
                         .reason = "step " + std::to_string(loser->step) + ": copies trial " +
                                   std::to_string(donor->id.value) + (fresh ? ", fresh parameters" : "")});
    }
  }

  std::optional<std::int64_t> next_milestone(TrialId, std::int64_t step) const override {
    return next_look(step, options_.interval);
  }
  Looks looks() const override { return {.interval = options_.interval}; }

  nlohmann::json save() const override { return random_.position(); }
  void load(const nlohmann::json& state, std::span<const TrialRecord>) override {
    random_.seek(state.get<std::uint64_t>());
  }

 private:
  Params explore(const Params& donor, double resample_probability) {
    const auto draw = [&](const ParameterSpec& spec) { return value_at(spec, random_.uniform()); };
    const auto move = [&](const ParameterSpec& spec, const Value& present) {
      if (random_.uniform() < resample_probability) return draw(spec);
      return perturb(spec, present, options_.factors[random_.below(options_.factors.size())]);
    };
    return explored(space_, options_.mutate, donor, move, draw);
  }

  PbtOptions options_;
  SearchSpace space_;
  std::int64_t max_steps_;
  Random random_;
};

std::vector<double> read_factors(const OptionReader& reader) {
  std::vector<double> factors;
  for (const auto& text : reader.list("factors")) {
    const auto factor = number_from_text(text);
    if (!factor || !(*factor > 0)) reader.refuse("factors", "must be positive numbers, not " + text);
    factors.push_back(*factor);
  }
  return factors.empty() ? PbtOptions().factors : factors;
}

std::unique_ptr<Scheduler> make_pbt(const OptionReader& reader, const SchedulerRequest& request) {
  PbtOptions options;
  options.interval = reader.whole("interval");
  options.quantile = reader.number("quantile");
  options.resample_probability = reader.number("resample_probability");
  options.factors = read_factors(reader);
  options.mutate = read_mutated_names(reader, request);
  options.tournament = reader.choice("exploit") == "tournament";
  options.min_diversity = reader.number("min_diversity");
  options.fresh_rate = reader.number("fresh_rate");
  return std::make_unique<Pbt>(std::move(options), request.space, request.tuner.max_steps, request.tuner.seed);
}

}  // namespace

SchedulerKind pbt_kind() {
  std::vector<OptionSpec> options = population_options();
  options.push_back(number_option("resample_probability", "of a mutated parameter to be drawn anew", 0.25, 0, 1));
  options.push_back(without(list_option("factors", "a mutated number is multiplied by one of them"), "0.8, 1.2"));
  options.push_back(choice_option("exploit", "the worst copy the best, or each meets one other and the worse copies",
                                  {"truncation", "tournament"}));
  options.push_back(number_option("min_diversity", "a population below it has collapsed; 0 = off", 0.02, 0, 1));
  options.push_back(number_option("fresh_rate", "share of the copies that get new parameters then", 0.5, 0, 1));
  return {.name = "pbt",
          .what = "population-based training: the worst copy weights and parameters of the best and explore",
          .options = std::move(options),
          .make = make_pbt,
          .stops_none = true,
          .one_process = true};
}

}  // namespace finetune
