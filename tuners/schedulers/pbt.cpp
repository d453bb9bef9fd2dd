#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/number.h"
#include "core/text.h"
#include "tuners/options.h"
#include "tuners/schedulers/schedulers.h"

namespace finetune {
namespace {

struct PbtOptions {
  std::int64_t interval = 10;
  double quantile = 0.25, resample_probability = 0.25;
  std::vector<double> factors{0.8, 1.2};
  std::vector<std::string> mutate;
};

// How many members copy: ceil(q n), at most half of the population.
std::int64_t copiers(std::int64_t n, double quantile) {
  return std::min(static_cast<std::int64_t>(std::ceil(quantile * static_cast<double>(n) - 1e-9)), n / 2);
}

// A neighbour of the present choice, or a scaled number, clipped to the space.
Value perturb(const ParameterSpec& spec, const Value& value, double factor) {
  if (spec.categorical()) {
    const auto found = std::find(spec.choices.begin(), spec.choices.end(), value);
    const auto last = static_cast<std::ptrdiff_t>(spec.choices.size()) - 1;
    const auto at = found == spec.choices.end() ? 0 : found - spec.choices.begin();
    return spec.choices[static_cast<std::size_t>(std::clamp<std::ptrdiff_t>(at + (factor < 1 ? -1 : 1), 0, last))];
  }
  const double number = as_number(value);
  Value scaled = clip(spec, number * factor);
  // A step may swallow a small factor: move by at least one.
  if (spec.spacing() > 0 && scaled == clip(spec, number)) scaled = clip(spec, number + (factor < 1 ? -1 : 1) * spec.spacing());
  return scaled;
}

class Pbt : public Scheduler {
 public:
  Pbt(PbtOptions options, SearchSpace space, std::int64_t max_steps, std::uint64_t seed)
      : options_(std::move(options)), space_(std::move(space)), max_steps_(max_steps), random_(seed, Purpose::scheduler) {}

  // Members that report the same ready step are one population.
  void on_reports(std::span<const TrialRecord* const> reported, std::span<const TrialRecord>, std::vector<Action>& actions) override {
    std::vector<const TrialRecord*> ready;
    for (const TrialRecord* trial : reported) {
      const bool due = trial->step % options_.interval == 0 && trial->step < max_steps_;
      if (due && !trial->values.empty() && trial->values.back().first == trial->step) ready.push_back(trial);
    }
    std::stable_sort(ready.begin(), ready.end(), [](const TrialRecord* a, const TrialRecord* b) {
      return a->values.back().second < b->values.back().second;  // ties: reports are sorted by id
    });
    const std::int64_t count = copiers(static_cast<std::int64_t>(ready.size()), options_.quantile);
    std::vector<const TrialRecord*> losers(ready.end() - count, ready.end());
    std::sort(losers.begin(), losers.end(), [](const TrialRecord* a, const TrialRecord* b) { return a->id < b->id; });
    for (const TrialRecord* loser : losers) {
      const TrialRecord* donor = ready[random_.below(static_cast<std::uint64_t>(count))];
      actions.push_back({.trial = loser->id, .what = Action::Do::copy, .params = explore(donor->params), .from = donor->id,
                         .reason = "step " + std::to_string(loser->step) + ": copies trial " + std::to_string(donor->id.value)});
    }
  }

  std::optional<std::int64_t> next_milestone(TrialId, std::int64_t step) const override {
    return std::max<std::int64_t>(1, (step + options_.interval - 1) / options_.interval) * options_.interval;
  }

  nlohmann::json save() const override { return random_.position(); }
  void load(const nlohmann::json& state) override { random_.seek(state.get<std::uint64_t>()); }

 private:
  // Each mutated parameter is drawn afresh or perturbed. Conditions are looked up again, so a parameter that a choice
  // switches off disappears and one that it switches on is drawn.
  Params explore(const Params& donor) {
    Params explored;
    for (const auto& spec : space_.parameters) {
      const bool mutated = std::find(options_.mutate.begin(), options_.mutate.end(), spec.name) != options_.mutate.end();
      const double resample = random_.uniform(), fresh = random_.uniform();
      const double factor = options_.factors[random_.below(options_.factors.size())];
      if (!is_active(spec, explored)) continue;
      const Value* present = find_param(donor, spec.name);
      if (present == nullptr || (mutated && resample < options_.resample_probability)) explored.emplace_back(spec.name, value_at(spec, fresh));
      else explored.emplace_back(spec.name, mutated ? perturb(spec, *present, factor) : *present);
    }
    return explored;
  }

  PbtOptions options_;
  SearchSpace space_;
  std::int64_t max_steps_;
  Random random_;
};

std::vector<std::string> mutated_names(OptionReader& options, const SchedulerRequest& request) {
  const auto may_change = [&](const std::string& name) { return !request.tuner.may_change || request.tuner.may_change(name); };
  std::vector<std::string> all, changeable;
  for (const auto& spec : request.space.parameters) {
    all.push_back(spec.name);
    if (may_change(spec.name)) changeable.push_back(spec.name);
  }
  const auto named = options.list("mutate");
  for (const auto& name : named) {
    if (std::find(all.begin(), all.end(), name) == all.end()) {
      options.refuse("mutate", "names " + name + ", which is not searched; allowed: " + join(changeable, ", "));
    }
    if (!may_change(name)) options.refuse("mutate", "names " + name + ", which cannot change during training; allowed: " + join(changeable, ", "));
  }
  if (!named.empty()) return named;
  if (changeable.empty()) options.refuse("mutate", "is empty: no searched parameter may change during training; search train.learning_rate, for example");
  return changeable;
}

}  // namespace

std::unique_ptr<Scheduler> make_pbt(const SchedulerRequest& request) {
  OptionReader reader("tune.scheduler", request.options);
  PbtOptions options;
  options.interval = reader.whole("interval", 10, 1);
  options.quantile = reader.number("quantile", 0.25, 0, 0.5);
  options.resample_probability = reader.number("resample_probability", 0.25, 0, 1);
  if (const auto factors = reader.list("factors"); !factors.empty()) {
    options.factors.clear();
    for (const auto& text : factors) {
      const auto factor = number_from_text(text);
      if (!factor || !(*factor > 0)) reader.refuse("factors", "must be positive numbers, not " + text);
      options.factors.push_back(*factor);
    }
  }
  options.mutate = mutated_names(reader, request);
  reader.finish();
  return std::make_unique<Pbt>(std::move(options), request.space, request.tuner.max_steps, request.tuner.seed);
}

}  // namespace finetune
