#include "tuners/tuner.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/error.h"
#include "tuners/record_json.h"
#include "tuners/saved_state.h"

namespace finetune {

nlohmann::json Sampler::save() const {
  return nullptr;
}
void Sampler::load(const nlohmann::json&) {}
void Scheduler::on_start(const TrialRecord&) {}
void Scheduler::on_end(const TrialRecord&, std::span<const TrialRecord>, std::vector<Action>&) {}
void Scheduler::on_idle(std::int64_t, bool, std::span<const TrialRecord>, std::vector<Action>&) {}
bool Scheduler::wants_more() const {
  return true;
}
nlohmann::json Scheduler::save() const {
  return nullptr;
}
void Scheduler::load(const nlohmann::json&, std::span<const TrialRecord>) {}

namespace {

// A pause that the same answer takes back: a trial resumed goes on as if nothing had been, a trial stopped just stops.
void drop_pauses(std::vector<Action>& actions, std::span<const Action> later) {
  for (const Action& action : later) {
    const auto is_pause = [&](const Action& other) {
      return other.trial == action.trial && other.what == Action::Do::pause;
    };
    if (std::erase_if(actions, is_pause) == 0 || action.what != Action::Do::resume) continue;
    std::erase_if(actions, [&](const Action& other) { return other.trial == action.trial; });
  }
}

}  // namespace

Tuner::Tuner(TunerOptions options, std::unique_ptr<Sampler> sampler, std::unique_ptr<Scheduler> scheduler)
    : options_(std::move(options)), sampler_(std::move(sampler)), scheduler_(std::move(scheduler)) {}

std::vector<NewTrial> Tuner::ask(std::int64_t count, std::vector<Action>& actions) {
  std::vector<NewTrial> asked;
  if (budget_used_) return asked;
  if (options_.concurrent) count = std::min(count, *options_.concurrent - running_);
  if (count <= 0) return asked;
  const std::int64_t full = running_ + count;
  resume_waiting(count, actions);
  while (running_ < full && !exhausted()) {
    const TrialId id{static_cast<std::int64_t>(trials_.size())};
    auto params = sampler_->suggest(id, trials_);
    if (!params) {
      exhausted_ = true;
      resume_waiting(full - running_, actions);  // cohorts that waited for more are complete now
      break;
    }
    trials_.push_back({.id = id, .params = std::move(*params)});
    ++running_;
    scheduler_->on_start(trials_.back());
    asked.push_back({id, trials_.back().params});
  }
  most_running_ = std::max(most_running_, running_);
  return asked;
}

bool Tuner::exhausted() const {
  return exhausted_ || budget_used_ || static_cast<std::int64_t>(trials_.size()) >= options_.trials ||
         !scheduler_->wants_more();
}

void Tuner::report(std::span<const Report> reports, std::vector<Action>& actions) {
  std::vector<Report> sorted(reports.begin(), reports.end());
  std::sort(sorted.begin(), sorted.end(), [](const Report& a, const Report& b) { return a.trial < b.trial; });
  const auto broken = [](const std::optional<double>& value) { return value && !std::isfinite(*value); };
  std::vector<const TrialRecord*> healthy;
  const std::size_t first = actions.size();
  for (const Report& report : sorted) {
    TrialRecord& trial = trials_.at(static_cast<std::size_t>(report.trial.value));
    if (trial.state != TrialState::running || report.step <= trial.known) continue;
    steps_ += report.step - trial.step;
    trial.step_before = std::exchange(trial.step, report.step);
    trial.train_loss = report.train_loss;
    if (broken(report.metric) || broken(report.train_loss) || broken(report.gradient_norm)) {
      actions.push_back({.trial = trial.id, .what = Action::Do::stop, .reason = "not finite"});
      finish_trial(trial, TrialState::failed, actions);
      continue;
    }
    if (report.metric && report.step >= options_.first_look)
      trial.values.emplace_back(report.step, to_minimized(*report.metric, options_.direction));
    healthy.push_back(&trial);
  }
  scheduler_->on_reports(healthy, trials_, actions);
  carry_out(actions, first);
  for (const TrialRecord* record : healthy) {
    TrialRecord& trial = trials_[static_cast<std::size_t>(record->id.value)];
    if (trial.state == TrialState::running && trial.step >= options_.max_steps)
      finish_trial(trial, TrialState::completed, actions);
  }
  end_where_due(actions);
  if (budget_used_) return;
  resume_waiting(free_slots(), actions);
}

void Tuner::tell(TrialId id, TrialState state, std::optional<double> metric, std::vector<Action>& actions) {
  TrialRecord& trial = trials_.at(static_cast<std::size_t>(id.value));
  if (trial.state != TrialState::running && trial.state != TrialState::paused) return;
  if (metric && !std::isfinite(*metric)) state = TrialState::failed;
  if (state == TrialState::completed && metric) {
    if (trial.step < options_.max_steps) steps_ += options_.max_steps - trial.step;  // a full-budget result
    trial.step = options_.max_steps;
    trial.values.emplace_back(trial.step, to_minimized(*metric, options_.direction));
  }
  finish_trial(trial, state, actions);
  end_where_due(actions);
  if (budget_used_) return;
  resume_waiting(free_slots(), actions);
}

void Tuner::follow(TrialId id, const Params& params) {
  if (id.value != std::ssize(trials_)) throw failed("", "a trial of another process is out of order");
  trials_.push_back({.id = id, .params = params, .elsewhere = true});
  scheduler_->on_start(trials_.back());
}

void Tuner::follow(TrialId id, std::span<const std::pair<std::int64_t, double>> values, TrialState state,
                   std::vector<Action>& actions) {
  TrialRecord& trial = trials_.at(static_cast<std::size_t>(id.value));
  if (!trial.elsewhere || trial.state != TrialState::running) return;
  const std::size_t first = actions.size();
  for (const auto& [step, value] : values) {
    if (step <= trial.step || step > options_.max_steps || !std::isfinite(value)) continue;
    steps_ += step - trial.step;
    trial.step_before = std::exchange(trial.step, step);
    if (step >= options_.first_look) trial.values.emplace_back(step, to_minimized(value, options_.direction));
    const TrialRecord* reported = &trial;
    scheduler_->on_reports({&reported, 1}, trials_, actions);
    carry_out(actions, first);
  }
  if (state != TrialState::running) finish_trial(trial, state, actions);
  end_where_due(actions);
}

void Tuner::set_elsewhere(TrialId id, bool elsewhere) {
  TrialRecord& trial = trials_.at(static_cast<std::size_t>(id.value));
  if (trial.elsewhere == elsewhere) return;
  const bool runs = trial.state == TrialState::running;
  if (runs) note_running(trial, -1);
  trial.elsewhere = elsewhere;
  if (runs) note_running(trial, 1);
  trial.known = trial.step;
}

void Tuner::note_params(TrialId id, const Params& params) {
  for (const auto& [name, value] : params)
    set_param(trials_.at(static_cast<std::size_t>(id.value)).params, name, value);
}

void Tuner::finish_trial(TrialRecord& trial, TrialState state, std::vector<Action>& actions) {
  if (trial.state == TrialState::running) note_running(trial, -1);
  trial.state = state;
  note_ended(trial);
  const std::size_t first = actions.size();
  scheduler_->on_end(trial, trials_, actions);
  carry_out(actions, first);
}

std::int64_t Tuner::free_slots() const {
  return options_.concurrent.value_or(most_running_) - running_;
}

void Tuner::resume_waiting(std::int64_t free_slots, std::vector<Action>& actions) {
  if (free_slots <= 0 && !exhausted()) return;
  const std::size_t first = actions.size();
  scheduler_->on_idle(free_slots, exhausted(), trials_, actions);
  carry_out(actions, first);
  const std::vector<Action> later(actions.begin() + static_cast<std::ptrdiff_t>(first), actions.end());
  drop_pauses(actions, later);
}

// Whoever is elsewhere takes no slot.
void Tuner::note_running(const TrialRecord& trial, std::int64_t change) {
  if (!trial.elsewhere) running_ += change;
}

// Keeps the books in step with what the scheduler decided. Of trials elsewhere others decide.
void Tuner::carry_out(std::vector<Action>& actions, std::size_t first) {
  const auto begin = actions.begin() + static_cast<std::ptrdiff_t>(first);
  const auto is_others = [this](const Action& action) { return find(action.trial) && find(action.trial)->elsewhere; };
  actions.erase(std::remove_if(begin, actions.end(), is_others), actions.end());
  for (std::size_t i = first; i < actions.size(); ++i) {
    TrialRecord& trial = trials_.at(static_cast<std::size_t>(actions[i].trial.value));
    switch (actions[i].what) {
      case Action::Do::stop:
        if (trial.state == TrialState::running) note_running(trial, -1);
        if (trial.state == TrialState::running || trial.state == TrialState::paused) {
          trial.state = TrialState::stopped;
          note_ended(trial);
        }
        break;
      case Action::Do::pause:
        if (trial.state == TrialState::running) note_running(trial, -1);
        trial.state = TrialState::paused;
        break;
      case Action::Do::resume:
        if (trial.state != TrialState::paused) break;
        note_running(trial, 1);
        trial.state = TrialState::running;
        break;
      case Action::Do::change:
        for (const auto& [name, value] : actions[i].params) set_param(trial.params, name, value);
        break;
      case Action::Do::copy:
        trial.params = actions[i].params;
        break;
    }
  }
}

void Tuner::note_ended(const TrialRecord& trial) {
  ++ended_;
  if (trial.state != TrialState::completed || trial.values.empty()) return;
  const double value = trial.values.back().second;
  if (best_completed_ && value >= *best_completed_) return;
  best_completed_ = value;
  ended_at_best_ = ended_;
}

void Tuner::end_where_due(std::vector<Action>& actions) {
  if (budget_used_) return;
  if (options_.budget_steps && steps_ >= *options_.budget_steps) return end_by("steps", "used up", actions);
  if (options_.target && best_completed_ && *best_completed_ <= to_minimized(*options_.target, options_.direction))
    return end_by("target", "reached", actions);
  if (options_.patience && best_completed_ && ended_ - ended_at_best_ >= *options_.patience)
    return end_by("patience", "used up", actions);
}

void Tuner::end_by(const std::string& budget, const std::string& what, std::vector<Action>& actions) {
  ended_by_ = budget;
  end("budget." + budget + " " + what, actions);
}

void Tuner::end(const std::string& reason, std::vector<Action>& actions) {
  if (std::exchange(budget_used_, true)) return;
  for (TrialRecord& trial : trials_) {
    if (trial.state != TrialState::running || trial.elsewhere) continue;
    std::erase_if(actions, [&](const Action& action) { return action.trial == trial.id; });  // stop outweighs the rest
    actions.push_back({.trial = trial.id, .what = Action::Do::stop, .reason = reason});
    trial.state = TrialState::stopped;
  }
  running_ = 0;
}

std::int64_t Tuner::next_milestone(TrialId id) const {
  const TrialRecord& trial = trials_.at(static_cast<std::size_t>(id.value));
  // Asked at a step that may itself be one: the first milestone that is not behind the trial.
  const std::int64_t from = std::max(trial.step, options_.first_look);
  return std::min(options_.max_steps, scheduler_->next_milestone(id, from).value_or(options_.max_steps));
}

bool Tuner::is_milestone(TrialId id, std::int64_t step) const {
  if (step == options_.max_steps) return true;
  return step >= options_.first_look && step == scheduler_->next_milestone(id, step);
}

const TrialRecord* Tuner::find(TrialId id) const {
  if (id.value < 0 || id.value >= static_cast<std::int64_t>(trials_.size())) return nullptr;
  return &trials_[static_cast<std::size_t>(id.value)];
}

const TrialRecord* Tuner::best() const {
  const TrialRecord* best = nullptr;
  for (const TrialRecord& trial : trials_) {
    if (trial.state == TrialState::failed || trial.values.empty()) continue;
    const auto [step, value] = trial.values.back();
    if (best == nullptr || step > best->values.back().first ||
        (step == best->values.back().first && value < best->values.back().second)) {
      best = &trial;
    }
  }
  return best;
}

nlohmann::json Tuner::save() const {
  nlohmann::json trials = nlohmann::json::array();
  for (const TrialRecord& trial : trials_) trials.push_back(record_json(trial));
  return {{"version", 1},
          {"trials", trials},
          {"steps", steps_},
          {"most_running", most_running_},
          {"exhausted", exhausted_},
          {"ended", ended_},
          {"ended_at_best", ended_at_best_},
          {"best_completed", best_completed_ ? nlohmann::json(*best_completed_) : nlohmann::json()},
          {"budget_used", budget_used_},
          {"ended_by", ended_by_},
          {"sampler", sampler_->save()},
          {"scheduler", scheduler_->save()}};
}

void Tuner::load(const nlohmann::json& state) {
  const nlohmann::json sampler_before = sampler_->save(), scheduler_before = scheduler_->save();
  try {
    if (state.at("version") != 1) throw bad_input("", "tuner state has another version");
    std::vector<TrialRecord> trials;
    for (const auto& json : state.at("trials")) {
      trials.push_back(record_from({static_cast<std::int64_t>(trials.size())}, json));
      if (trials.back().step > options_.max_steps) throw bad_input("", "a trial is past its budget");
    }
    if (static_cast<std::int64_t>(trials.size()) > options_.trials) throw bad_input("", "it has too many trials");
    const std::int64_t steps = count_from(state.at("steps"));
    const std::int64_t most_running = count_from(state.at("most_running"));
    const bool exhausted = state.at("exhausted").get<bool>(), budget_used = state.at("budget_used").get<bool>();
    const std::int64_t ended = count_from(state.at("ended")), ended_at_best = count_from(state.at("ended_at_best"));
    std::optional<double> best_completed;
    if (!state.at("best_completed").is_null()) best_completed = state.at("best_completed").get<double>();
    const auto ended_by = state.at("ended_by").get<std::string>();
    sampler_->load(state.at("sampler"));
    scheduler_->load(state.at("scheduler"), trials);
    ended_by_ = ended_by;
    ended_ = ended;
    ended_at_best_ = ended_at_best;
    best_completed_ = best_completed;
    trials_ = std::move(trials);
    steps_ = steps;
    most_running_ = most_running;
    exhausted_ = exhausted;
    budget_used_ = budget_used;
    running_ = std::count_if(trials_.begin(), trials_.end(),
                             [](const TrialRecord& t) { return t.state == TrialState::running && !t.elsewhere; });
  } catch (const std::exception& error) {
    sampler_->load(sampler_before);
    scheduler_->load(scheduler_before, trials_);
    throw bad_input("", std::string("tuner state is damaged: ") + error.what());
  }
}

}  // namespace finetune
