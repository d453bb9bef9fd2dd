// What moving trials' states over a network costs a study that runs on many nodes, and what failures cost: free
// functions on plain values. It is what src/remote and the Ray package do: the study goes in step with lag 0, every
// image passes through the node of its process (the driver), and nothing else happens meanwhile.
#pragma once

#include <cstdint>
#include <vector>

#include "models/decoder_options.h"

namespace finetune::testing {

constexpr std::int64_t kDevicesOfANode = 8;

/// Parameters of an adapter on all projections of a decoder, without the fused one: rank x (in + out) of each.
std::int64_t adapter_parameters(const DecoderOptions& model, std::int64_t rank);
/// Bytes of a trial's image: its parameters and two moments in fp32 (src/study/image_file.h); the head of the file,
/// some kilobytes, is left out.
double image_bytes(const DecoderOptions& model, std::int64_t rank);

struct Network {
  double between = 0;               ///< bytes a second of a node's link, each way; the driver's is the same
  double within = 900e9;            ///< bytes a second between two devices of a node
  double message_seconds = 250e-6;  ///< of the driver, for a request to a lane and its answer
};

/// What one round moved, in images. Counted for the whole fleet.
struct Traffic {
  std::int64_t resident = 0;        ///< trials whose states are to come over where it is time
  std::int64_t most_on_a_node = 0;  ///< of them
  std::int64_t bests = 0;           ///< trials that were better than before: a copy of each comes over
  std::int64_t within = 0;          ///< moves and a population's copies between two devices of one node
  std::int64_t between = 0;         ///< those between nodes
  std::int64_t most_of_a_node = 0;  ///< of those: into one node, or out of one
  std::int64_t lanes = 0;           ///< that had something to step
};

/// One round of a study in step.
struct Round {
  double computing = 0;  ///< seconds until the slowest device is done
  double decision = 0;   ///< seconds of the tuner, by the clock
  Traffic traffic;
};

/// How images go. The first is what there is; the other is what there could be.
enum class Route {
  driver,  ///< every image goes to the driver, and from there to where it is wanted, one after the other
  direct   ///< from device to device, all nodes at once; states go to the next node, the best ones stay where they are
};

/// Seconds of a round's best images.
double best_seconds(const Network& network, Route route, double image, const Traffic& traffic);
/// Seconds of a round's moves and copies.
double moving_seconds(const Network& network, Route route, double image, const Traffic& traffic);
/// Seconds in which all states come over.
double keeping_seconds(const Network& network, Route route, double image, const Traffic& traffic);

struct Failures {
  double devices_per_second = 1.0 / 3600;  ///< of all devices together
  double nodes_per_second = 1.0 / 86400;   ///< of all nodes together
  double stand_in = 60;                    ///< seconds until a lane elsewhere is there
};

/// A whole study in seconds, and bytes at the driver.
struct StudyCost {
  double computing = 0, decisions = 0, messages = 0, bests = 0, moving = 0, keeping = 0;
  double failing =
      0;  ///< what failures add, by their mean number; infinite where they come faster than they are mended
  double driver_bytes = 0;  ///< at most: the last states and the best images of the trials, both kept there
  double total() const { return computing + decisions + messages + bests + moving + keeping + failing; }
};

/// A failure stops everybody: all wait for a stand-in, for the states of what was lost, and for the steps since those,
/// half of `every` rounds on average. `every`: rounds after which the states come over.
StudyCost study_cost(const Network& network, Route route, const Failures& failures, double image, std::int64_t every,
                     const std::vector<Round>& rounds);

/// The number of rounds after which states come over that costs least where `keeping` seconds buy that a failure loses
/// half of them: sqrt(2 keeping / rate) seconds (Young, A first order approximation to the optimum checkpoint interval,
/// 1974), in rounds of `round` seconds; at least 1.
std::int64_t best_rounds_between(double keeping, double failures_per_second, double round);

}  // namespace finetune::testing
