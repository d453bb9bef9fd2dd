#include "tuners/samplers/tpe/split.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "tuners/samplers/observations.h"

namespace finetune {
namespace {

using Trials = std::vector<const TrialRecord*>;

void sort_by_id(Trials& trials) {
  const auto before = [](const auto* a, const auto* b) { return a->id < b->id; };
  if (!std::is_sorted(trials.begin(), trials.end(), before)) std::sort(trials.begin(), trials.end(), before);
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

// The cut is found first, so that the lists are filled in the order of the ranks given, which is nearly that of ids.
TrialSplit split_ranks(const std::vector<Rank>& ranks, const Trials& failed, const Trials& pending) {
  const auto good = static_cast<std::ptrdiff_t>(good_count(ranks.size()));
  std::vector<Rank> sorted = ranks;
  std::nth_element(sorted.begin(), sorted.begin() + good, sorted.end());
  TrialSplit split;
  for (const Rank& rank : ranks) {
    const bool is_good = good < std::ssize(sorted) ? rank < sorted[static_cast<std::size_t>(good)] : true;
    (is_good ? split.good : split.bad).push_back(rank.trial);
    split.finished.push_back(rank.trial);
  }
  for (auto* list : {&split.bad, &split.finished}) list->insert(list->end(), failed.begin(), failed.end());
  split.bad.insert(split.bad.end(), pending.begin(), pending.end());
  for (auto* list : {&split.good, &split.bad, &split.finished}) sort_by_id(*list);
  return split;
}

// Parameters come in the space's order but for those of a host program, so the search goes on from the last one found.
template <typename Visit>
void visit(const SearchSpace& space, const Params& params, const Visit& found) {
  std::size_t next = 0;
  for (std::size_t i = 0; i < space.parameters.size(); ++i) {
    const std::string& name = space.parameters[i].name;
    const bool here = next < params.size() && params[next].first == name;
    const Value* value = here ? &params[next++].second : find_param(params, name);
    if (value != nullptr) found(i, *value);
  }
}

// Which parameters occur together, every combination once. A trial with as many as the space has them all.
std::set<std::vector<bool>> patterns_in(const SearchSpace& space, std::span<const TrialRecord* const> trials) {
  const std::size_t all = space.parameters.size();
  std::set<std::vector<bool>> patterns;
  bool complete = false;
  for (const TrialRecord* trial : trials) {
    if (complete && trial->params.size() == all) continue;
    std::vector<bool> pattern(all);
    visit(space, trial->params, [&](std::size_t i, const Value&) { pattern[i] = true; });
    complete = complete || std::find(pattern.begin(), pattern.end(), false) == pattern.end();
    patterns.insert(std::move(pattern));
  }
  return patterns;
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
  return split_ranks(ranks, {}, pending);
}

TrialSplit split_at_one_step(std::span<const TrialRecord> trials, std::size_t enough, bool constant_liar) {
  const Observations seen = observe(trials, enough);
  std::vector<Rank> ranks;
  for (const Observation& observation : seen.observed) ranks.push_back({observation.trial, false, observation.value});
  for (const TrialRecord* trial : seen.stopped) ranks.push_back(as_stopped(*trial));
  return split_ranks(ranks, seen.failed, constant_liar ? seen.pending : Trials{});
}

ParamTable table_of(const SearchSpace& space, std::span<const TrialRecord* const> trials) {
  ParamTable table(space.parameters.size());
  for (auto& column : table) column.assign(trials.size(), std::numeric_limits<double>::quiet_NaN());
  for (std::size_t t = 0; t < trials.size(); ++t) {
    visit(space, trials[t]->params,
          [&](std::size_t i, const Value& value) { table[i][t] = number_of(space.parameters[i], value); });
  }
  return table;
}

Groups groups_in(const SearchSpace& space, std::span<const TrialRecord* const> trials) {
  const auto patterns = patterns_in(space, trials);
  std::map<std::vector<bool>, std::vector<std::size_t>> by_presence;  // which patterns have the parameter
  for (std::size_t i = 0; i < space.parameters.size(); ++i) {
    std::vector<bool> presence;
    for (const auto& pattern : patterns) presence.push_back(pattern[i]);
    if (std::find(presence.begin(), presence.end(), true) != presence.end()) by_presence[presence].push_back(i);
  }
  Groups groups;
  for (auto& [presence, members] : by_presence) groups.push_back(std::move(members));
  return groups;
}

Groups shared_by_all(const SearchSpace& space, std::span<const TrialRecord* const> trials) {
  const auto patterns = patterns_in(space, trials);
  std::vector<std::size_t> group;
  for (std::size_t i = 0; i < space.parameters.size(); ++i) {
    if (std::all_of(patterns.begin(), patterns.end(), [&](const auto& pattern) { return pattern[i]; }))
      group.push_back(i);
  }
  if (group.empty()) return {};
  return {group};
}

}  // namespace finetune
