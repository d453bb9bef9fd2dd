#include "tuners/schedulers/rungs.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tuners/saved_state.h"

namespace finetune {

std::vector<std::int64_t> rung_steps(std::int64_t min_steps, std::int64_t eta, std::int64_t max_steps) {
  std::vector<std::int64_t> rungs;
  for (std::int64_t step = min_steps; step < max_steps; step *= eta) {
    rungs.push_back(step);
    if (step > max_steps / eta) break;  // the next would pass the budget, or overflow
  }
  return rungs;
}

std::vector<Bracket> hyperband_brackets(std::int64_t min_steps, std::int64_t eta, std::int64_t max_steps) {
  std::vector<std::int64_t> powers{1};  // eta^s for s = 0 .. s_max
  while (powers.back() <= max_steps / min_steps / eta) powers.push_back(powers.back() * eta);
  const auto count = static_cast<std::int64_t>(powers.size());
  std::vector<Bracket> brackets;
  for (std::int64_t s = count - 1; s >= 0; --s) {
    const std::int64_t first = min_steps * powers[static_cast<std::size_t>(count - 1 - s)];
    const std::int64_t trials = (count * powers[static_cast<std::size_t>(s)] + s) / (s + 1);
    brackets.push_back({trials, rung_steps(first, eta, max_steps)});
  }
  return brackets;
}

std::int64_t next_look(std::int64_t step, std::int64_t interval) {
  return std::max<std::int64_t>(1, (step + interval - 1) / interval) * interval;
}

std::int64_t survivors(std::int64_t n, std::int64_t eta) {
  return std::max<std::int64_t>(1, n / eta);
}

void enter(RungEntries& entries, const RungEntry& entry) {
  entries.insert(std::upper_bound(entries.begin(), entries.end(), entry), entry);
}

bool is_among_best(const RungEntries& entries, const RungEntry& entry, std::int64_t keep) {
  return std::lower_bound(entries.begin(), entries.end(), entry) - entries.begin() < keep;
}

std::optional<double> fresh_value(const TrialRecord& trial) {
  if (trial.values.empty() || trial.values.back().first != trial.step) return std::nullopt;
  return trial.values.back().second;
}

std::optional<double> value_at_step(const TrialRecord& trial, std::int64_t step) {
  const auto before = [](const auto& entry, std::int64_t wanted) { return entry.first < wanted; };
  const auto found = std::lower_bound(trial.values.begin(), trial.values.end(), step, before);
  if (found == trial.values.end() || found->first != step) return std::nullopt;
  return found->second;
}

const std::pair<std::int64_t, double>* value_from(const TrialRecord& trial, std::int64_t step) {
  const auto before = [](const auto& entry, std::int64_t wanted) { return entry.first < wanted; };
  const auto found = std::lower_bound(trial.values.begin(), trial.values.end(), step, before);
  return found == trial.values.end() ? nullptr : &*found;
}

std::int64_t valued_before(const TrialRecord& trial) {
  return trial.values.size() < 2 ? 0 : trial.values[trial.values.size() - 2].first;
}

std::span<const std::int64_t> rungs_reached(std::span<const std::int64_t> rungs, const TrialRecord& trial) {
  if (!fresh_value(trial)) return {};
  const auto first = std::upper_bound(rungs.begin(), rungs.end(), valued_before(trial));
  return {first, std::upper_bound(first, rungs.end(), trial.step)};
}

std::vector<const TrialRecord*> that_reach(std::span<const std::int64_t> rungs,
                                           std::span<const TrialRecord* const> reported) {
  std::vector<const TrialRecord*> list;
  for (const TrialRecord* trial : reported) {
    if (!rungs_reached(rungs, *trial).empty()) list.push_back(trial);
  }
  return list;
}

bool reaches_look(const TrialRecord& trial, std::int64_t interval) {
  return fresh_value(trial) && valued_before(trial) / interval < trial.step / interval;
}

std::vector<RungEntry> arrivals(std::span<const TrialRecord* const> reported, std::int64_t rung,
                                std::span<const Action> decided) {
  std::vector<RungEntry> entries;
  for (const TrialRecord* trial : reported) {
    const auto is_stop = [&](const Action& action) {
      return action.trial == trial->id && action.what == Action::Do::stop;
    };
    if (rungs_reached({&rung, 1}, *trial).empty() || std::any_of(decided.begin(), decided.end(), is_stop)) continue;
    entries.emplace_back(*fresh_value(*trial), trial->id);
  }
  return entries;
}

void stop_losers(const RungEntries& rung, std::int64_t step, std::span<const RungEntry> judged, std::int64_t keep,
                 std::vector<Action>& actions) {
  const std::string reason = rung_reason(step, keep, rung.size());
  for (const RungEntry& entry : judged) {
    if (!is_among_best(rung, entry, keep))
      actions.push_back({.trial = entry.second, .what = Action::Do::stop, .reason = reason});
  }
}

std::string rung_reason(std::int64_t step, std::int64_t keep, std::size_t of) {
  return "rung " + std::to_string(step) + ": not among the best " + std::to_string(keep) + " of " + std::to_string(of);
}

std::optional<std::int64_t> next_rung(std::span<const std::int64_t> rungs, std::int64_t step) {
  const auto found = std::lower_bound(rungs.begin(), rungs.end(), step);
  if (found == rungs.end()) return std::nullopt;
  return *found;
}

OptionSpec min_steps_option() {
  return without(whole_option("min_steps", "the first rung, in steps", std::nullopt, 1),
                 "a tenth of the budget, in asktell 1");
}

OptionSpec reduction_factor_option() {
  return whole_option("reduction_factor", "each rung has so many times the steps, and keeps one of so many trials", 3,
                      2, 1000);
}

RungOptions read_rung_options(const OptionReader& options, const TunerOptions& tuner) {
  RungOptions rungs;
  rungs.min_steps = options.whole("min_steps", std::min(tuner.default_min_steps, tuner.max_steps));
  rungs.reduction_factor = options.whole("reduction_factor");
  if (rungs.min_steps > tuner.max_steps) {
    options.refuse("min_steps", "is " + std::to_string(rungs.min_steps) + ", above the budget of " +
                                    std::to_string(tuner.max_steps) + " steps a trial");
  }
  rungs.min_steps = std::max(rungs.min_steps, tuner.first_look);
  return rungs;
}

nlohmann::json rung_to_json(const RungEntries& entries) {
  auto json = nlohmann::json::array();
  for (const auto& [value, trial] : entries) json.push_back({value, trial.value});
  return json;
}

RungEntries rung_from_json(const nlohmann::json& json, std::span<const TrialRecord> trials) {
  RungEntries entries;
  for (const auto& entry : json) {
    enter(entries, {entry.at(0).get<double>(), trial_from(entry.at(1), trials)});
  }
  return entries;
}

}  // namespace finetune
