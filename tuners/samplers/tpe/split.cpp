#include "tuners/samplers/tpe/split.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "tuners/samplers/observations.h"

namespace finetune {
namespace {

using Trials = std::vector<const TrialRecord*>;

void sort_by_id(Trials& trials) {
  std::sort(trials.begin(), trials.end(), [](const auto* a, const auto* b) { return a->id < b->id; });
}

// A completed trial's or an observation's value comes first, then how far a stopped one came.
struct Rank {
  const TrialRecord* trial;
  bool stopped;
  double value;
  friend bool operator<(const Rank& a, const Rank& b) {
    if (a.stopped != b.stopped) return b.stopped;
    const std::int64_t a_step = a.last_step(), b_step = b.last_step();
    if (a.stopped && a_step != b_step) return a_step > b_step;
    return a.value != b.value ? a.value < b.value : a.trial->id < b.trial->id;
  }
  std::int64_t last_step() const { return trial->values.empty() ? -1 : trial->values.back().first; }
};

Rank as_stopped(const TrialRecord& trial) {
  return {&trial, true, trial.values.empty() ? 0.0 : trial.values.back().second};
}

TrialSplit split_ranks(std::vector<Rank> ranks, const Trials& failed, const Trials& pending) {
  const std::size_t good = good_count(ranks.size());
  std::nth_element(ranks.begin(), ranks.begin() + static_cast<std::ptrdiff_t>(good), ranks.end());
  TrialSplit split;
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    (i < good ? split.good : split.bad).push_back(ranks[i].trial);
    split.finished.push_back(ranks[i].trial);
  }
  for (auto* list : {&split.bad, &split.finished}) list->insert(list->end(), failed.begin(), failed.end());
  split.bad.insert(split.bad.end(), pending.begin(), pending.end());
  for (auto* list : {&split.good, &split.bad, &split.finished}) sort_by_id(*list);
  return split;
}

// The number behind a value; NaN for a choice that there is not.
double number_of(const ParameterSpec& spec, const Value& value) {
  if (!spec.categorical()) return std::clamp(as_number(value), spec.low, spec.high);
  const auto found = std::find(spec.choices.begin(), spec.choices.end(), value);
  return found == spec.choices.end() ? std::numeric_limits<double>::quiet_NaN()
                                     : static_cast<double>(found - spec.choices.begin());
}

// Parameters mostly come in the space's order, so the search goes on from the last one found.
std::vector<double> row_of(const SearchSpace& space, const Params& params) {
  std::vector<double> row(space.parameters.size(), std::numeric_limits<double>::quiet_NaN());
  std::size_t next = 0;
  for (std::size_t i = 0; i < row.size(); ++i) {
    const ParameterSpec& spec = space.parameters[i];
    const bool here = next < params.size() && params[next].first == spec.name;
    const Value* value = here ? &params[next++].second : find_param(params, spec.name);
    if (value != nullptr) row[i] = number_of(spec, *value);
  }
  return row;
}

}  // namespace

std::size_t good_count(std::size_t n) {
  return std::min<std::size_t>((n + 9) / 10, 25);
}

TrialSplit split_like_optuna(std::span<const TrialRecord> trials, bool constant_liar) {
  std::vector<Rank> ranks;
  Trials pending;
  for (const TrialRecord& trial : trials) {
    if (trial.state == TrialState::failed) continue;
    const bool over = trial.state == TrialState::completed || trial.state == TrialState::stopped;
    if (!over && constant_liar) pending.push_back(&trial);
    if (!over) continue;
    const bool complete = trial.state == TrialState::completed && !trial.values.empty();
    ranks.push_back(complete ? Rank{&trial, false, trial.values.back().second} : as_stopped(trial));
  }
  return split_ranks(std::move(ranks), {}, pending);
}

TrialSplit split_at_one_step(std::span<const TrialRecord> trials, std::size_t enough, bool constant_liar) {
  const Observations seen = observe(trials, enough);
  std::vector<Rank> ranks;
  for (const Observation& observation : seen.observed) ranks.push_back({observation.trial, false, observation.value});
  for (const TrialRecord* trial : seen.stopped) ranks.push_back(as_stopped(*trial));
  return split_ranks(std::move(ranks), seen.failed, constant_liar ? seen.pending : Trials{});
}

ParamTable table_of(const SearchSpace& space, std::span<const TrialRecord* const> trials) {
  ParamTable table;
  table.reserve(trials.size());
  for (const TrialRecord* trial : trials) table.push_back(row_of(space, trial->params));
  return table;
}

std::vector<std::vector<std::size_t>> groups_in(const ParamTable& table) {
  std::map<std::vector<bool>, std::vector<std::size_t>> by_presence;
  const std::size_t parameters = table.empty() ? 0 : table[0].size();
  for (std::size_t i = 0; i < parameters; ++i) {
    std::vector<bool> present(table.size());
    for (std::size_t t = 0; t < table.size(); ++t) present[t] = !std::isnan(table[t][i]);
    if (std::find(present.begin(), present.end(), true) != present.end()) by_presence[present].push_back(i);
  }
  std::vector<std::vector<std::size_t>> groups;
  for (auto& [present, members] : by_presence) groups.push_back(std::move(members));
  std::sort(groups.begin(), groups.end());
  return groups;
}

std::vector<std::vector<std::size_t>> shared_by_all(const ParamTable& table) {
  std::vector<std::size_t> group;
  const std::size_t parameters = table.empty() ? 0 : table[0].size();
  for (std::size_t i = 0; i < parameters; ++i) {
    if (std::none_of(table.begin(), table.end(), [&](const auto& row) { return std::isnan(row[i]); }))
      group.push_back(i);
  }
  if (group.empty()) return {};
  return {group};
}

}  // namespace finetune
