#include "play.h"

#include <algorithm>
#include <map>
#include <queue>

namespace finetune::testing {
namespace {

std::vector<TrialId> due_among(const Fleet& fleet, const std::vector<TrialId>& who) {
  std::vector<TrialId> due;
  std::ranges::copy_if(who, std::back_inserter(due), [&](TrialId id) { return fleet.is_due(id); });
  return due;
}

double decided(const Fleet& fleet, std::size_t since) {
  double seconds = 0;
  for (std::size_t i = since; i < fleet.decisions().size(); ++i) seconds += fleet.decisions()[i].seconds;
  return seconds;
}

// Returns when the last round has ended.
double play_in_rounds(Fleet& fleet, std::size_t lag, std::vector<Round>& rounds) {
  std::size_t calls = 0;                                               // of the tuner, before this round
  std::vector<double> free(fleet.devices(), 0.0), ends(lag + 1, 0.0);  // ends: of the last rounds, oldest first
  fleet.ask(0, 0);
  for (std::int64_t round = 1; fleet.running() > 0; ++round) {
    fleet.even_out(ends.back());
    std::vector<TrialId> all;
    std::vector<std::pair<std::size_t, std::vector<TrialId>>> due;
    const double before = ends.back();
    double end = before;
    for (std::size_t device = 0; device < fleet.devices(); ++device) {
      const std::vector<TrialId>& who = fleet.on_device(device);
      if (who.empty()) continue;
      double begin = std::max(free[device], ends.front());
      for (const TrialId id : who) begin = std::max(begin, fleet.trial(id).ready_at);
      free[device] = begin + fleet.step(device, who);
      end = std::max(end, free[device]);
      all.insert(all.end(), who.begin(), who.end());
      if (auto measured = due_among(fleet, who); !measured.empty()) due.emplace_back(device, std::move(measured));
    }
    ends.erase(ends.begin());
    if (!due.empty()) {
      double measured = end;
      for (const auto& [device, who] : due) measured = std::max(measured, end + fleet.evaluate(device, who));
      end = measured;
      std::ranges::fill(ends, end);
      std::ranges::fill(free, end);
    }
    ends.push_back(end);
    std::ranges::sort(all);
    fleet.note_present();
    fleet.tell(all, round, end);
    rounds.push_back({.computing = end - before, .decision = decided(fleet, calls), .traffic = fleet.take_traffic()});
    calls = fleet.decisions().size();
  }
  return ends.back();
}

class Ahead {
 public:
  Ahead(Fleet& fleet, bool in_order) : fleet_(fleet), in_order_(in_order), steps_(fleet.devices()) {}

  double run() {
    fleet_.ask(0, 0);
    take_up();
    fleet_.even_out(0);
    begin_all(0);
    while (!events_.empty()) {
      const auto [time, device] = events_.top();
      events_.pop();
      if (!steps_[device].who.empty() && steps_[device].end <= time) finish(device);
      begin(device, time);
    }
    return last_;
  }

 private:
  struct Step {
    std::vector<TrialId> who;  // empty: the device has nothing under way
    double end = 0;
  };
  struct Round {
    std::int64_t expected = 0;
    std::vector<TrialId> come;
  };

  void begin(std::size_t device, double now) {
    Step& step = steps_[device];
    if (!step.who.empty()) return;
    double later = 0;
    for (const TrialId id : fleet_.on_device(device)) {
      const FleetTrial& trial = fleet_.trial(id);
      if (trial.waits) continue;
      if (trial.ready_at > now)
        later = later > 0 ? std::min(later, trial.ready_at) : trial.ready_at;
      else
        step.who.push_back(id);
    }
    if (step.who.empty()) {
      if (later > 0) events_.emplace(later, device);
      return;
    }
    step.end = now + fleet_.step(device, step.who);
    if (const auto due = due_among(fleet_, step.who); !due.empty()) step.end += fleet_.evaluate(device, due);
    for (const TrialId id : step.who) fleet_.trial(id).free_at = step.end;
    events_.emplace(step.end, device);
  }

  void finish(std::size_t device) {
    const double now = last_ = steps_[device].end;
    std::vector<TrialId> due;
    for (const TrialId id : std::exchange(steps_[device].who, {})) {
      const FleetTrial& trial = fleet_.trial(id);
      if (!trial.waits) continue;
      due.push_back(id);
      rounds_[trial.began + trial.step].come.push_back(id);
    }
    if (due.empty()) return;
    if (!in_order_) {
      decide(due, 0, now);
    } else {
      while (!rounds_.empty() && std::ssize(rounds_.begin()->second.come) == rounds_.begin()->second.expected) {
        auto [round, oldest] = *rounds_.begin();
        rounds_.erase(rounds_.begin());
        std::ranges::sort(oldest.come);
        decide(oldest.come, round, now);
      }
    }
    begin_all(now);
  }

  void decide(const std::vector<TrialId>& who, std::int64_t round, double now) {
    fleet_.tell(who, round, now);
    take_up();
    fleet_.even_out(now);
  }

  // Notes at which round the tuner will hear of those that go on.
  void take_up() {
    for (const TrialId id : fleet_.going_on()) ++rounds_[fleet_.trial(id).began + fleet_.trial(id).milestone].expected;
  }

  void begin_all(double now) {
    for (std::size_t device = 0; device < fleet_.devices(); ++device) begin(device, now);
  }

  Fleet& fleet_;
  bool in_order_;
  std::vector<Step> steps_;
  std::map<std::int64_t, Round> rounds_;  // milestones that the tuner has yet to hear of
  std::priority_queue<std::pair<double, std::size_t>, std::vector<std::pair<double, std::size_t>>, std::greater<>>
      events_;  // a device may begin something, or has ended it
  double last_ = 0;
};

}  // namespace

Played play(FleetOptions options, const Way& way) {
  options.placing = way.placing;
  const std::unique_ptr<Tuner> tuner = fleet_tuner(options);
  Fleet fleet(options, *tuner);
  Played played;
  played.makespan = way.ahead ? Ahead(fleet, way.in_order).run() : play_in_rounds(fleet, way.lag, played.rounds);
  played.busy = fleet.busy();
  played.moves = fleet.moves();
  played.decisions = fleet.decisions();
  for (const TrialRecord& trial : tuner->trials()) {
    played.steps += trial.step;
    played.endings.push_back({trial.state, trial.values});
  }
  return played;
}

}  // namespace finetune::testing
