#include "engine/profile_table.h"

#include <algorithm>
#include <cmath>

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

}  // namespace finetune
