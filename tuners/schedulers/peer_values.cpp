#include "tuners/schedulers/peer_values.h"

#include <algorithm>

#include "tuners/schedulers/rungs.h"

namespace finetune {
namespace {

void insert_sorted(std::vector<double>& sorted, double value) {
  sorted.insert(std::upper_bound(sorted.begin(), sorted.end(), value), value);
}

}  // namespace

std::int64_t PeerValues::looks_up_to(std::int64_t step) const {
  return step <= warmup_steps_ ? 0 : (step - warmup_steps_ - 1) / interval_ + 1;
}

PeerValues::Looks PeerValues::reached(const TrialRecord& trial) const {
  return {looks_up_to(valued_before(trial)), looks_up_to(trial.step)};
}

void PeerValues::take(const TrialRecord& trial) {
  const auto id = static_cast<std::size_t>(trial.id.value);
  if (known_.size() <= id) known_.resize(id + 1);
  Known& known = known_[id];
  if (trial.state == TrialState::failed) return take_out(trial, known);
  for (; known.values < trial.values.size(); ++known.values) {
    const auto& [step, value] = trial.values[known.values];
    known.best = std::min(known.best, value);
    for (const std::int64_t end = looks_up_to(step); !completed_only_ && known.looks < end; ++known.looks) {
      if (rows_.size() <= static_cast<std::size_t>(known.looks)) rows_.emplace_back();
      insert_sorted(rows_[static_cast<std::size_t>(known.looks)].sorted, value);
    }
  }
  if (trial.state != TrialState::completed || known.completed) return;
  known.completed = true;
  completed_.push_back(trial.id);
}

void PeerValues::take_out(const TrialRecord& failed, Known& known) {
  for (std::int64_t look = 0; look < known.looks; ++look) {
    std::vector<double>& sorted = rows_[static_cast<std::size_t>(look)].sorted;
    const double value = value_from(failed, warmup_steps_ + 1 + look * interval_)->second;
    sorted.erase(std::lower_bound(sorted.begin(), sorted.end(), value));
  }
  known.values = failed.values.size();
  known.looks = 0;
}

const std::vector<double>& PeerValues::at(std::int64_t look, std::span<const TrialRecord> all) {
  if (rows_.size() <= static_cast<std::size_t>(look)) rows_.resize(static_cast<std::size_t>(look) + 1);
  Row& row = rows_[static_cast<std::size_t>(look)];
  for (; completed_only_ && row.completed < completed_.size(); ++row.completed) {
    const TrialRecord& peer = all[static_cast<std::size_t>(completed_[row.completed].value)];
    if (const auto* value = value_from(peer, warmup_steps_ + 1 + look * interval_))
      insert_sorted(row.sorted, value->second);
  }
  return row.sorted;
}

}  // namespace finetune
