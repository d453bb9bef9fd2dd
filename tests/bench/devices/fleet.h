// Trials on simulated devices: where each is and what it costs there, and the real tuner that decides about them. No
// time passes in here; play.h has the two ways in which it does.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "machine.h"
#include "network.h"
#include "tuners/tuner.h"

namespace finetune::testing {

/// By what trials are placed and moved, so that the longest device gets shorter.
enum class Placing {
  number,   ///< of trials
  cost,     ///< what their steps cost, as if all devices were alike
  seconds,  ///< what they take on this device: its speed is known, from rounds that it has done
};

struct FleetOptions {
  Machine machine;
  std::vector<double> slowness{1};  ///< of each device
  std::int64_t trials = 64;
  std::int64_t slots = 16;   ///< trials side by side, a device on average; it has room for twice as many
  std::int64_t steps = 240;  ///< of a trial; rungs at 24, 72, 216
  std::string scheduler = "asha";
  bool varied = true;  ///< lengths of examples, and batch sizes (8, 16 and 32, searched; else 16)
  Placing placing = Placing::number;
  bool guard = true;  ///< of the halvings: a rung whose ranking later values contradict stops nobody
};

struct FleetTrial {
  Params params;
  std::int64_t batch = 0, step = 0, milestone = 0;
  std::int64_t began = 0;  ///< the round before its first one; a pause moves it on
  std::size_t device = 0;
  double free_at = 0;   ///< its present step ends; 0 in rounds, where nothing moves within one
  double ready_at = 0;  ///< its last move ends: not before does it step again
  double best = std::numeric_limits<double>::infinity();  ///< of its values
  bool resident = false;
  bool waits = false;  ///< at a milestone: does not step before the tuner has answered
};

/// One call of the tuner, by the clock.
struct Decision {
  std::int64_t reports = 0;
  double seconds = 0;
};

class Fleet {
 public:
  Fleet(const FleetOptions& options, Tuner& tuner);

  /// New trials for what is free, into their places. `round` is what the tuner has seen last.
  void ask(std::int64_t round, double now);
  /// Tells the tuner of trials at their present step, with a value where it is a milestone, and carries out its answer.
  void tell(const std::vector<TrialId>& who, std::int64_t round, double now);
  /// The costliest trial of the longest device that makes it shorter moves to the shortest, as long as there is one.
  /// The copy follows the step that the trial is in.
  void even_out(double now);

  /// Steps those trials of one device in one pack, and measures those that come to a milestone (they wait from then
  /// on). Returns the seconds of each.
  double step(std::size_t device, const std::vector<TrialId>& who);
  double evaluate(std::size_t device, const std::vector<TrialId>& who);

  std::int64_t running() const { return running_; }
  const FleetTrial& trial(TrialId id) const { return trials_[static_cast<std::size_t>(id.value)]; }
  FleetTrial& trial(TrialId id) { return trials_[static_cast<std::size_t>(id.value)]; }
  bool is_due(TrialId id) const { return trial(id).step == trial(id).milestone; }
  const std::vector<TrialId>& on_device(std::size_t device) const { return devices_[device].trials; }
  std::size_t devices() const { return devices_.size(); }

  double busy() const { return busy_; }
  std::int64_t moves() const { return moves_; }
  /// Notes for take_traffic() who is where now.
  void note_present();
  /// What was moved since this was asked last.
  Traffic take_traffic();
  const std::vector<Decision>& decisions() const { return decisions_; }
  /// Who was started, resumed or allowed to go on by the last tell() or ask().
  const std::vector<TrialId>& going_on() const { return going_on_; }

 private:
  struct Device {
    double slowness = 1, load = 0;
    std::vector<TrialId> trials;
  };
  double weight(const FleetTrial& trial, std::size_t device) const;
  void load(std::size_t device, double change);
  void place(TrialId id, double ready_at);
  void put(TrialId id, std::size_t device);
  void take(TrialId id);
  bool move_one(double now);
  void copy(const Action& action);
  void note_image(std::size_t from, std::size_t to);
  void carry_out(const std::vector<Action>& actions, std::int64_t round, double now);
  void go_on(TrialId id);

  FleetOptions options_;
  Tuner& tuner_;
  ExampleLengths lengths_;
  std::vector<FleetTrial> trials_;  // index = id
  std::vector<Device> devices_;
  std::set<std::pair<double, std::size_t>> by_load_;
  std::vector<TrialId> going_on_;
  std::vector<Decision> decisions_;
  Traffic traffic_;
  std::vector<std::int64_t> into_, out_of_;  // images since take_traffic(), of each node
  std::int64_t running_ = 0, moves_ = 0;
  double busy_ = 0;
};

/// asha and the like over a learning rate and a batch size.
std::unique_ptr<Tuner> fleet_tuner(const FleetOptions& options);
/// Falls with the steps to a floor that the rate decides, with a little noise: a pure function of its arguments.
double loss_at(const Params& params, TrialId trial, std::int64_t step);

}  // namespace finetune::testing
