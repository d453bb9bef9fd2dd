#include "engine/profile_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/text.h"

namespace finetune {
namespace {

using ops::Part;
using ops::Phase;

struct PartName {
  Part part;
  Phase phase;
  const char* name;
};
constexpr PartName kNames[] = {
    {Part::base, Phase::forward, "products of the base"},
    {Part::base, Phase::backward, "products of the base, backward"},
    {Part::adapters, Phase::forward, "adapter products"},
    {Part::adapters, Phase::backward, "adapter products, backward"},
    {Part::attention, Phase::forward, "attention"},
    {Part::attention, Phase::backward, "attention, backward"},
    {Part::norms, Phase::forward, "norms"},
    {Part::norms, Phase::backward, "norms, backward"},
    {Part::rotary, Phase::forward, "rotary"},
    {Part::rotary, Phase::backward, "rotary, backward"},
    {Part::glu, Phase::forward, "gated units"},
    {Part::glu, Phase::backward, "gated units, backward"},
    {Part::residual, Phase::forward, "residual stream"},
    {Part::residual, Phase::backward, "residual stream, backward"},
    {Part::embeddings, Phase::forward, "embeddings"},
    {Part::unpacking, Phase::forward, "quantised weights"},
    {Part::head, Phase::forward, "head and loss, both ways"},
    {Part::planning, Phase::forward, "planning"},
    {Part::packing, Phase::forward, "packing"},
    {Part::gradient_norms, Phase::forward, "gradient norms"},
    {Part::optimizer, Phase::forward, "optimizer"},
    {Part::results, Phase::forward, "results"},
    {Part::evaluation, Phase::forward, "evaluations"},
};

double wall_of(std::span<const ops::Profile> lanes) {
  const auto used = [](const ops::Profile& lane) { return lane.last != lane.first; };
  auto first = ops::Profile::Clock::time_point::max(), last = ops::Profile::Clock::time_point::min();
  for (const ops::Profile& lane : lanes) {
    if (!used(lane)) continue;
    first = std::min(first, lane.first);
    last = std::max(last, lane.last);
  }
  return last > first ? std::chrono::duration<double>(last - first).count() : 0;
}

std::string number_or_dash(double value, const char* form) {
  return std::isfinite(value) && value > 0 ? fmt::format(fmt::runtime(form), value) : "-";
}

std::string line_of(const ProfileRow& row, const ProfileTable& table, const Ceiling& ceiling) {
  const double all = table.wall * static_cast<double>(table.idle.size());
  const double rate = row.seconds > 0 ? 1e-9 / row.seconds : 0;
  return fmt::format("{:<31}{:>7.1f} %{:>10}{:>10}{:>9}{:>8}{:>10}", row.part, 100 * row.seconds / all,
                     row.calls > 0 ? with_commas(row.calls) : "-",
                     number_or_dash(1e3 * row.seconds / static_cast<double>(table.steps), "{:.3f}"),
                     number_or_dash(row.work.flops * rate, "{:.1f}"), number_or_dash(row.work.bytes * rate, "{:.1f}"),
                     number_or_dash(100 * share_of_ceiling(row, ceiling, table.idle.size()), "{:.0f} %"));
}

}  // namespace

ProfileTable profile_table(std::span<const ops::Profile> lanes) {
  ProfileTable table{.wall = wall_of(lanes)};
  double busy = 0, timed = 0;
  for (const PartName& name : kNames) {
    ProfileRow row{.part = name.name};
    for (const ops::Profile& lane : lanes) {
      const ops::PartTotal& total = lane.of(name.part, name.phase);
      row.seconds += total.seconds;
      row.calls += total.calls;
      row.work += total.work;
    }
    timed += row.seconds;
    if (row.calls > 0) table.rows.push_back(row);
  }
  std::ranges::stable_sort(table.rows, std::ranges::greater(), &ProfileRow::seconds);
  for (const ops::Profile& lane : lanes) {
    busy += lane.busy;
    table.steps += lane.steps;
    table.idle.push_back(table.wall > 0 ? 1 - lane.busy / table.wall : 0);
  }
  table.rows.push_back({.part = "what stands between them", .seconds = busy - timed});
  table.rows.push_back({.part = "waiting", .seconds = table.wall * static_cast<double>(lanes.size()) - busy});
  return table;
}

double share_of_ceiling(const ProfileRow& row, const Ceiling& ceiling, std::size_t lanes) {
  if (ceiling.flops <= 0 || ceiling.bytes <= 0 || row.seconds <= 0) return std::nan("");
  const double least = std::max(row.work.flops / ceiling.flops, row.work.bytes / ceiling.bytes);
  return least * static_cast<double>(lanes) / row.seconds;
}

std::vector<std::string> profile_lines(const ProfileTable& table, const Ceiling& ceiling) {
  const std::size_t lanes = table.idle.size();
  if (table.wall <= 0 || table.steps == 0) return {"run.profile: nothing was measured"};
  std::vector<std::string> lines{
      fmt::format("where the time went: {:.2f} s by the clock, {} lane{}, {} steps of a lane (all its trials at once)",
                  table.wall, lanes, lanes == 1 ? "" : "s", with_commas(table.steps)),
      fmt::format("{:<31}{:>9}{:>10}{:>10}{:>9}{:>8}{:>10}", "part", "share", "calls", "ms/step", "GFLOP/s", "GB/s",
                  "ceiling")};
  for (const ProfileRow& row : table.rows) lines.push_back(line_of(row, table, ceiling));
  std::vector<std::string> idle;
  for (const double share : table.idle) idle.push_back(fmt::format("{:.0f} %", 100 * share));
  lines.push_back("waiting, by lane: " + join(idle, ", "));
  if (ceiling.flops > 0) {
    const double mine = 1e-9 / static_cast<double>(lanes);
    lines.push_back(
        fmt::format("the ceiling of a lane is its share of what all processors did just now: {:.0f} "
                    "GFLOP/s in a product of {}, {:.0f} GB/s in a copy",
                    ceiling.flops * mine, kCeilingSize, ceiling.bytes * mine));
    lines.emplace_back("operations and bytes follow from shapes; what stays in a cache may pass the ceiling of a copy");
  } else {
    lines.emplace_back("times are those of the threads that give devices their work, so there is no ceiling");
  }
  return lines;
}

}  // namespace finetune
