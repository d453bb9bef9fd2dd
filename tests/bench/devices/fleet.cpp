#include "fleet.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "core/random.h"
#include "tuners/registry.h"

namespace finetune::testing {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point began) {
  return std::chrono::duration<double>(Clock::now() - began).count();
}

constexpr double kWorthwhile = 0.98;  // a move that gains less is none

std::size_t node_of(std::size_t device) {
  return device / static_cast<std::size_t>(kDevicesOfANode);
}

SearchSpace space(bool varied) {
  SearchSpace space{{{.name = "learning_rate", .low = 1e-4, .high = 1e-1, .log = true}}};
  const auto whole = [](std::int64_t x) { return Value(x); };
  std::vector<Value> sizes{whole(16)};
  if (varied) sizes = {whole(8), whole(16), whole(32)};
  space.parameters.push_back({.name = "batch_size", .choices = sizes});
  return space;
}

}  // namespace

std::unique_ptr<Tuner> fleet_tuner(const FleetOptions& o) {
  const std::int64_t devices = std::ssize(o.slowness);
  const TunerOptions tuner{.trials = o.trials,
                           .max_steps = o.steps,
                           .concurrent = std::min(o.trials, devices * o.slots),
                           .default_min_steps = std::max<std::int64_t>(1, o.steps / 10),
                           .default_guard = o.guard};
  const SearchSpace searched = space(o.varied);
  return std::make_unique<Tuner>(tuner, make_sampler("random", {{}, searched, 0}),
                                 make_scheduler(o.scheduler, {{}, searched, tuner}));
}

double loss_at(const Params& params, TrialId trial, std::int64_t step) {
  const double log_rate = std::log10(as_number(*find_param(params, "learning_rate")));
  const double floor = 0.3 + 0.12 * (log_rate + 2.7) * (log_rate + 2.7), speed = 0.2 + (log_rate + 4) / 3;
  Random random(static_cast<std::uint64_t>(trial.value), Purpose::test, static_cast<std::uint64_t>(step));
  return floor + (2.5 - floor) * std::pow(static_cast<double>(step), -speed) + 0.01 * random.normal();
}

Fleet::Fleet(const FleetOptions& options, Tuner& tuner) : options_(options), tuner_(tuner), lengths_(options.varied) {
  for (const double slowness : options.slowness) {
    by_load_.emplace(0.0, devices_.size());
    devices_.push_back({.slowness = slowness});
  }
  into_.resize(node_of(devices_.size() - 1) + 1);
  out_of_.resize(into_.size());
}

double Fleet::weight(const FleetTrial& trial, std::size_t device) const {
  if (options_.placing == Placing::number) return 1;
  const double seconds = round_seconds(options_.machine, lengths_.usual(trial.batch));
  return options_.placing == Placing::cost ? seconds : devices_[device].slowness * seconds;
}

// An empty device has exactly no load, whatever was added and taken away.
void Fleet::load(std::size_t device, double change) {
  Device& it = devices_[device];
  by_load_.erase({it.load, device});
  it.load = it.trials.empty() ? 0 : it.load + change;
  by_load_.emplace(it.load, device);
}

void Fleet::put(TrialId id, std::size_t device) {
  trial(id).device = device;
  devices_[device].trials.push_back(id);
  load(device, weight(trial(id), device));
}

void Fleet::take(TrialId id) {
  const std::size_t device = trial(id).device;
  std::erase(devices_[device].trials, id);
  load(device, -weight(trial(id), device));
}

void Fleet::place(TrialId id, double ready_at) {
  const auto has_room = [&](const auto& entry) {
    return std::ssize(devices_[entry.second].trials) < 2 * options_.slots;
  };
  trial(id).resident = true;
  trial(id).ready_at = ready_at;
  put(id, std::find_if(by_load_.begin(), by_load_.end(), has_room)->second);
  ++running_;
}

void Fleet::go_on(TrialId id) {
  FleetTrial& it = trial(id);
  it.waits = false;
  it.milestone = it.step + 1;
  while (!tuner_.is_milestone(id, it.milestone)) ++it.milestone;
  going_on_.push_back(id);
}

void Fleet::ask(std::int64_t round, double now) {
  std::vector<Action> actions;
  const auto began = Clock::now();
  const std::vector<NewTrial> asked = tuner_.ask(options_.trials, actions);
  if (!asked.empty()) decisions_.push_back({0, seconds_since(began)});
  for (const NewTrial& proposed : asked) {
    const std::int64_t batch = std::get<std::int64_t>(*find_param(proposed.params, "batch_size"));
    trials_.push_back({.params = proposed.params, .batch = batch, .began = round});
    place(proposed.id, now);
    go_on(proposed.id);
  }
  carry_out(actions, round, now);
}

void Fleet::tell(const std::vector<TrialId>& who, std::int64_t round, double now) {
  std::vector<Report> reports;
  for (const TrialId id : who) {
    const FleetTrial& it = trial(id);
    reports.push_back({.trial = id, .step = it.step, .train_loss = 1.0});
    if (!is_due(id)) continue;
    const double value = loss_at(it.params, id, it.step);
    reports.back().metric = value;
    if (value < it.best) ++traffic_.bests;
    trial(id).best = std::min(it.best, value);
  }
  going_on_.clear();
  std::vector<Action> actions;
  const auto began = Clock::now();
  tuner_.report(reports, actions);
  decisions_.push_back({std::ssize(reports), seconds_since(began)});
  for (const TrialId id : who) {
    if (trial(id).waits && tuner_.find(id)->state == TrialState::running) go_on(id);
    if (tuner_.find(id)->state == TrialState::running) continue;
    take(id);
    trial(id).resident = trial(id).waits = false;
    --running_;
  }
  carry_out(actions, round, now);
  ask(round, now);
}

// Stops and pauses show in the tuner's own books; what is left are resumes.
void Fleet::carry_out(const std::vector<Action>& actions, std::int64_t round, double now) {
  for (const Action& action : actions) {
    if (action.what == Action::Do::copy) copy(action);
    if (action.what != Action::Do::resume || trial(action.trial).resident) continue;
    trial(action.trial).began = round - trial(action.trial).step;
    place(action.trial, now + options_.machine.move_seconds);
    go_on(action.trial);
  }
}

// Its batches may have another size from now on.
void Fleet::copy(const Action& action) {
  FleetTrial& to = trial(action.trial);
  if (!to.resident) return;
  note_image(trial(action.from).device, to.device);
  take(action.trial);
  to.params = action.params;
  to.batch = std::get<std::int64_t>(*find_param(to.params, "batch_size"));
  put(action.trial, to.device);
}

void Fleet::note_image(std::size_t from, std::size_t to) {
  if (from == to) return;
  if (node_of(from) == node_of(to)) {
    ++traffic_.within;
    return;
  }
  ++traffic_.between;
  traffic_.most_of_a_node = std::max({traffic_.most_of_a_node, ++out_of_[node_of(from)], ++into_[node_of(to)]});
}

void Fleet::note_present() {
  std::vector<std::int64_t> on_node(into_.size());
  for (std::size_t device = 0; device < devices_.size(); ++device) {
    const std::int64_t here = std::ssize(devices_[device].trials);
    traffic_.resident += here;
    on_node[node_of(device)] += here;
    if (here > 0) ++traffic_.lanes;
  }
  traffic_.most_on_a_node = std::ranges::max(on_node);
}

Traffic Fleet::take_traffic() {
  std::ranges::fill(into_, 0);
  std::ranges::fill(out_of_, 0);
  return std::exchange(traffic_, {});
}

bool Fleet::move_one(double now) {
  const std::size_t to = by_load_.begin()->second;
  if (std::ssize(devices_[to].trials) >= 2 * options_.slots) return false;
  for (auto longest = by_load_.rbegin(); longest != by_load_.rend(); ++longest) {
    const auto [load, from] = *longest;
    TrialId best;
    double heaviest = 0;
    for (const TrialId id : devices_[from].trials) {
      const double here = weight(trial(id), from);
      const double after = std::max(load - here, devices_[to].load + weight(trial(id), to));
      if (after >= kWorthwhile * load || here <= heaviest) continue;
      best = id;
      heaviest = here;
    }
    if (heaviest == 0) continue;
    note_image(from, to);
    take(best);
    put(best, to);
    FleetTrial& moved = trial(best);
    moved.ready_at = std::max({moved.ready_at, moved.free_at, now}) + options_.machine.move_seconds;
    ++moves_;
    return true;
  }
  return false;
}

void Fleet::even_out(double now) {
  while (devices_.size() > 1 && move_one(now)) {
  }
}

double Fleet::step(std::size_t device, const std::vector<TrialId>& who) {
  RoundWork work;
  for (const TrialId id : who) {
    FleetTrial& it = trial(id);
    work = work + lengths_.batch(id, ++it.step, it.batch);
    it.waits = is_due(id);
  }
  const double seconds = devices_[device].slowness * round_seconds(options_.machine, work);
  busy_ += seconds;
  return seconds;
}

double Fleet::evaluate(std::size_t device, const std::vector<TrialId>& who) {
  const double one = evaluation_seconds(options_.machine, lengths_.validation(), std::ssize(who));
  busy_ += devices_[device].slowness * one;
  return devices_[device].slowness * one;
}

}  // namespace finetune::testing
