// Studies on 1 to 1,000 devices in computed time: what share of it is used when all devices go in step, and what
// when each runs ahead of the others; and what the host takes for its decisions, by the clock; what a network and
// failures cost. Run by hand:
//
//     simulate_devices [--scheduler NAME] [shares|decisions|schedulers|loop|network]...
//     simulate_devices > tables.md                        all of them, under two minutes
//
// What is assumed stands in devices/machine.h and network.h, the ways in devices/play.h; results in results/devices.md.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "devices/loop_speed.h"
#include "devices/network_tables.h"
#include "devices/play.h"
#include "devices/quantile.h"

namespace finetune::testing {
namespace {

constexpr std::int64_t kDevices[] = {1, 2, 4, 8, 32, 128, 512, 1000}, kTrials[] = {64, 256, 1024, 4096};

struct NamedWay {
  const char* name;
  Way way;
};
// In step and ahead; then what the order of the tuner's reports costs.
const std::vector<NamedWay>& ways() {
  static const std::vector<NamedWay> list{
      {"in step, lag 0, by cost", {.lag = 0, .placing = Placing::cost}},
      {"in step, lag 1, by number", {.lag = 1}},
      {"in step, lag 1, by cost", {.lag = 1, .placing = Placing::cost}},
      {"in step, lag 1, by seconds", {.lag = 1, .placing = Placing::seconds}},
      {"ahead, by cost", {.ahead = true, .placing = Placing::cost}},
      {"ahead, by seconds", {.ahead = true, .placing = Placing::seconds}},
      {"as it comes, by seconds", {.ahead = true, .in_order = false, .placing = Placing::seconds}}};
  return list;
}

FleetOptions study(const Machine& machine, std::int64_t devices, std::int64_t trials, bool stragglers) {
  FleetOptions options{.machine = machine, .slowness = slowness(devices, stragglers), .trials = trials};
  return options;
}

void heading(const std::string& first, const std::vector<std::string>& columns) {
  fmt::print("\n{}", first);
  for (const auto& column : columns) fmt::print(" | {}", column);
  fmt::print(" |\n");
  for (std::size_t i = 0; i < 2 + columns.size(); ++i) fmt::print("|---");
  fmt::print("|\n");
}

std::vector<std::string> names_of_ways() {
  std::vector<std::string> names;
  for (const auto& [name, way] : ways()) names.emplace_back(name);
  return names;
}

// Share of the devices' time used in percent, and how many times as fast as the same trials on one device. Without the
// guard, which sees later values the sooner the fewer trials run side by side: the steps would differ by a factor of
// two.
void shares(const Machine& machine, const std::string& scheduler, bool stragglers) {
  fmt::print("\n### {}, {}, {}\n", machine.name, scheduler,
             stragglers ? "a fifth of the devices slow" : "equal devices");
  std::vector<std::string> columns = names_of_ways();
  columns.insert(columns.begin(), "steps, thousand");
  heading("| trials | devices", columns);
  for (const std::int64_t trials : kTrials) {
    std::vector<double> alone;
    for (const std::int64_t devices : kDevices) {
      if (devices > trials) continue;
      fmt::print("| {} | {}", trials, devices);
      for (std::size_t i = 0; i < ways().size(); ++i) {
        FleetOptions options = study(machine, devices, trials, stragglers);
        options.scheduler = scheduler;
        options.guard = false;
        const Played played = play(options, ways()[i].way);
        if (i == 0) fmt::print(" | {:.3g}", 1e-3 * static_cast<double>(played.steps));
        if (devices == 1) alone.push_back(played.makespan);
        fmt::print(" | {:.0f} %, {:.4g}x", 100 * share_used(played.busy, devices, played.makespan),
                   alone[i] / played.makespan);
      }
      fmt::print(" |\n");
    }
  }
}

// Others than asha, and how the devices' makespans compare.
void schedulers(const Machine& machine) {
  fmt::print("\n### Makespan in minutes by scheduler: {}, 1024 trials, a fifth of the devices slow\n", machine.name);
  heading("| scheduler | devices", names_of_ways());
  for (const char* scheduler : {"none", "asha", "asha_promotion", "hyperband", "sync_hyperband"}) {
    for (const std::int64_t devices : {8, 128}) {
      fmt::print("| {} | {}", scheduler, devices);
      for (const auto& [name, way] : ways()) {
        FleetOptions options = study(machine, devices, 1024, true);
        options.scheduler = scheduler;
        fmt::print(" | {:.1f}", play(options, way).makespan / 60);
      }
      fmt::print(" |\n");
    }
  }
}

void decision_row(const std::string& name, std::int64_t devices, std::int64_t trials, const Played& played) {
  std::vector<double> calls, each;
  double all = 0;
  for (const Decision& decision : played.decisions) {
    calls.push_back(1e6 * decision.seconds);
    if (decision.reports > 0) each.push_back(1e9 * decision.seconds / static_cast<double>(decision.reports));
    all += decision.seconds;
  }
  fmt::print("| {} | {} | {} | {} | {:.1f} | {:.0f} | {:.0f} | {:.0f} | {:.0f} | {:.3f} | {:.2g} |\n", name, trials,
             devices, calls.size(), quantile(calls, 0.5), quantile(calls, 0.99), quantile(calls, 1),
             quantile(each, 0.5), quantile(each, 0.99), all, 100 * all / played.makespan);
}

void decisions(const Machine& machine) {
  fmt::print("\n### What the tuner takes, by the clock: {}, in step with lag 1\n", machine.name);
  heading("| scheduler | trials", {"devices", "calls", "call, us: median", "99 %", "most", "a report, ns: median",
                                   "99 %", "all, s", "% of the makespan"});
  for (const char* scheduler : {"asha", "asha_promotion", "hyperband"}) {
    for (const std::int64_t trials : kTrials) {
      for (const std::int64_t devices : {1, 32, 1000}) {
        if (devices > trials) continue;
        FleetOptions options = study(machine, devices, trials, true);
        options.scheduler = scheduler;
        decision_row(scheduler, devices, trials, play(options, {.lag = 1, .placing = Placing::cost}));
      }
    }
  }
}

void loop() {
  fmt::print(
      "\n### The whole loop, by the clock: lanes that compute nothing, asha, 100 steps a trial, 16 slots a lane\n");
  heading("| trials | lanes", {"rounds", "a round, ms: median", "most", "of it the tuner: median", "most"});
  for (const std::int64_t trials : {1024, 4096}) {
    for (const std::int64_t lanes : kDevices) {
      if (lanes > trials) continue;
      const LoopSpeed speed = measure_loop("asha", lanes, 16, trials, 100);
      fmt::print("| {} | {} | {} | {:.2f} | {:.1f} | {:.3f} | {:.2f} |\n", trials, lanes, speed.rounds,
                 1e3 * speed.round_median, 1e3 * speed.round_most, 1e3 * speed.decision_median,
                 1e3 * speed.decision_most);
      std::fflush(stdout);
    }
  }
}

void run(const std::vector<std::string>& wanted, const std::string& scheduler) {
  for (const std::string& what : wanted) {
    if (what == "loop") loop();
    if (what == "network") {
      print_images();
      print_network();
    }
    for (const Machine& machine : {half_billion(), eight_billion()}) {
      if (what == "shares") {
        for (const bool stragglers : {false, true}) shares(machine, scheduler, stragglers);
      }
      if (what == "schedulers") schedulers(machine);
    }
    if (what == "decisions") decisions(half_billion());
  }
}

}  // namespace
}  // namespace finetune::testing

int main(int count, char** arguments) {
  std::vector<std::string> wanted;
  std::string scheduler = "asha";
  CLI::App app{"Studies on many devices, in computed time"};
  app.add_option("--scheduler", scheduler, "of the shares");
  app.add_option("tables", wanted, "all of them unless named")
      ->check(CLI::IsMember({"shares", "schedulers", "decisions", "loop", "network"}));
  CLI11_PARSE(app, count, arguments);
  if (wanted.empty()) wanted = {"shares", "schedulers", "decisions", "loop", "network"};
  try {
    finetune::testing::run(wanted, scheduler);
  } catch (const std::exception& error) {
    fmt::print(stderr, "simulate_devices: {}\n", error.what());
    return 2;
  }
}
