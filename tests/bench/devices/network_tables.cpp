#include "network_tables.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "play.h"

namespace finetune::testing {
namespace {

constexpr std::int64_t kOnNodes = 1000, kRank = 16, kRoundsKept = 32;  // the last: src/remote/remote_lane.h
constexpr double kGigabits[] = {8, 25, 100, 400};                      // 8: what one process copies, see devices.md

double bytes_of(double gigabits) {
  return gigabits * 1e9 / 8;
}

// With moves that cost nothing yet, and without the guard, as in the other tables.
Played played(const Machine& machine, const std::string& scheduler, std::int64_t trials) {
  FleetOptions options{.machine = machine, .slowness = slowness(kOnNodes, false), .trials = trials};
  options.machine.move_seconds = 0;
  options.scheduler = scheduler;
  options.guard = false;
  return play(options, {.lag = 0, .placing = Placing::cost});
}

std::string largest_loss(const StudyCost& cost) {
  const std::vector<std::pair<double, const char*>> losses{{cost.decisions, "decisions"}, {cost.messages, "messages"},
                                                           {cost.bests, "best ones"},     {cost.moving, "copies"},
                                                           {cost.keeping, "states"},      {cost.failing, "failures"}};
  return std::ranges::max_element(losses)->second;
}

// Rounds between states: what is there, and what costs least by Young's rule, no more than the study has.
std::int64_t best_every(const Network& network, Route route, const Failures& failures, double image,
                        const std::vector<Round>& rounds) {
  StudyCost each = study_cost(network, route, failures, image, 1, rounds);
  const auto n = static_cast<double>(rounds.size());
  const double round = (each.computing + each.decisions + each.messages + each.bests + each.moving) / n;
  const double rate = failures.devices_per_second + failures.nodes_per_second;
  return std::min(best_rounds_between(each.keeping / n, rate, round), std::ssize(rounds) + 1);
}

void row(const std::string& first, double gigabits, double image, const Played& played) {
  const Network network{.between = bytes_of(gigabits)};
  const Failures failures;
  const StudyCost cost = study_cost(network, Route::driver, failures, image, kRoundsKept, played.rounds);
  const auto share = [&](double seconds) { return std::isinf(cost.total()) ? NAN : 100 * seconds / cost.total(); };
  const auto used = [&](const StudyCost& of) { return 100 * share_used(played.busy, kOnNodes, of.total()); };
  fmt::print("| {} | {} | {:.1f} | {:.0f} | {:.2g} | {:.0f} | {:.0f} | {:.0f} | {:.0f} | {:.1f} | {:.0f} | {}", first,
             gigabits, cost.total() / 60, share(cost.computing), share(cost.decisions), share(cost.messages),
             share(cost.bests), share(cost.moving), share(cost.keeping), share(cost.failing), used(cost),
             largest_loss(cost));
  const Network by_node{.between = network.between, .message_seconds = network.message_seconds / kDevicesOfANode};
  for (const auto& [other, route] :
       {std::pair{network, Route::driver}, {network, Route::direct}, {by_node, Route::direct}}) {
    const std::int64_t every = best_every(other, route, failures, image, played.rounds);
    fmt::print(" | {:.0f} ({})", used(study_cost(other, route, failures, image, every, played.rounds)), every);
  }
  fmt::print(" |\n");
}

void latency_row(const std::string& first, double image, const Played& played) {
  double most = 0, all = 0, computing = 0;
  std::int64_t resident = 0;
  for (const Round& round : played.rounds) {
    most = std::max(most, round.decision);
    all += round.decision;
    computing += round.computing;
    resident = std::max(resident, round.traffic.resident);
  }
  const auto rounds = static_cast<double>(played.rounds.size());
  fmt::print("| {} | {} | {:.2f} | {:.2f} | {:.1f} | {:.2g} |\n", first, played.rounds.size(), computing / rounds,
             1e3 * all / rounds, 1e3 * most, 2e-12 * static_cast<double>(resident) * image);
}

}  // namespace

void print_images() {
  fmt::print("\n### Images of rank {} on all projections: parameters and two moments in fp32\n\n", kRank);
  fmt::print(
      "| model | parameters, million | MB | 1,000 over 25, 100, 400 Gbit/s, s | 8,000, s | one within a node, ms |\n");
  fmt::print("|---|---|---|---|---|---|\n");
  for (const Machine& machine : {half_billion(), one_and_a_half_billion(), four_billion(), eight_billion()}) {
    const double image = image_bytes(machine.model, kRank);
    const auto times = [&](double images) {
      return fmt::format("{:.1f}, {:.1f}, {:.1f}", images * image / bytes_of(25), images * image / bytes_of(100),
                         images * image / bytes_of(400));
    };
    fmt::print("| {} | {:.1f} | {:.0f} | {} | {} | {:.2f} |\n", machine.name,
               1e-6 * static_cast<double>(adapter_parameters(machine.model, kRank)), 1e-6 * image, times(1000),
               times(8000), 1e3 * image / Network().within);
  }
}

void print_network() {
  std::vector<std::pair<std::string, std::pair<double, Played>>> studies;
  for (const Machine& machine : {half_billion(), eight_billion()}) {
    for (const char* scheduler : {"asha", "pbt"}) {
      for (const std::int64_t trials : {1000, 8000}) {
        studies.push_back({fmt::format("{} | {} | {}", machine.name, scheduler, trials),
                           {image_bytes(machine.model, kRank), played(machine, scheduler, trials)}});
      }
    }
  }
  fmt::print("\n### 1,000 devices: a round, the tuner by the clock, and what the driver holds\n\n");
  fmt::print(
      "| model | scheduler | trials | rounds | a round computes, s | a decision, ms: mean | most | at the driver, TB "
      "|\n");
  fmt::print("|---|---|---|---|---|---|---|---|\n");
  for (const auto& [name, study] : studies) latency_row(name, study.first, study.second);
  fmt::print("\n### 1,000 devices of 125 nodes: shares of the time in percent\n\n");
  fmt::print(
      "| model | scheduler | trials | Gbit/s | minutes | computing | decisions | messages | best ones, copies | states "
      "| "
      "failures | devices used | largest loss | used, states when it is best (rounds) | and images direct | and a "
      "message a node |\n");
  fmt::print("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n");
  for (const auto& [name, study] : studies) {
    for (const double gigabits : kGigabits) row(name, gigabits, study.first, study.second);
  }
}

}  // namespace finetune::testing
