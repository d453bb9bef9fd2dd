// run.profile: what the lanes measured, added up; report/profile.h shows it.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "kernels/torch/profile.h"

namespace finetune {

/// What the machine can do, with all its processors at once. Zeros: not known.
struct Ceiling {
  double flops = 0, bytes = 0;  ///< a second, of a product and of a copy
};

/// The size of the square product that Ceiling::flops comes from.
inline constexpr std::int64_t kCeilingSize = 768;

/// A row: times are summed over lanes.
struct ProfileRow {
  std::string part;
  double seconds = 0;
  std::int64_t calls = 0;  ///< 0: is not called
  ops::Work work;
};

struct ProfileTable {
  std::vector<ProfileRow> rows;  ///< the longest first; then what no part has, and waiting
  double wall = 0;               ///< seconds from the first use of a lane to the last
  std::vector<double> idle;      ///< of each lane, a share of the wall time
  std::int64_t steps = 0;        ///< of all lanes
};

/// Shares add up to one: parts, what lanes did beside them, and the time in which a lane had nothing to do.
ProfileTable profile_table(std::span<const ops::Profile> lanes);

/// The time that a lane takes at the least for this work, by what bounds it, over the time it took: 1 is the ceiling.
/// NaN where the ceiling or the work is not known. Lanes divide the machine.
double share_of_ceiling(const ProfileRow& row, const Ceiling& ceiling, std::size_t lanes);

}  // namespace finetune
