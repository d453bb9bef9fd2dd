// Where the time of a run went (run.profile), as numbers: the table on a terminal, report.json, report.md and the page
// are written from them. Times that a clock measured: they differ from run to run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

namespace finetune {

/// A part of a step, of all lanes. Where a number is not known, or means nothing, it is absent.
struct PartFact {
  std::string part;
  double seconds = 0;  ///< summed over lanes
  double share = 0;    ///< of the lanes' time
  std::optional<std::int64_t> calls;
  double ms_per_step = 0;
  std::optional<double> gflops, gbytes;  ///< a second, as they follow from shapes
  std::optional<double> of_ceiling;      ///< 1: as fast as the machine can
};

/// What a lane's share of the machine can do.
struct CeilingFact {
  double gflops = 0, gbytes = 0;  ///< a second, of a product of `size` and of a copy
  std::int64_t size = 0;
};

struct ProfileFacts {
  double seconds = 0;            ///< from the first use of a lane to the last
  std::int64_t steps = 0;        ///< of all lanes, a step of all trials of the lane at once; 0: no time was measured
  std::int64_t after_round = 0;  ///< a run that was gone on with: what follows this round
  std::vector<double> waiting;   ///< of each lane, a share of `seconds`
  std::optional<CeilingFact> ceiling;  ///< nothing where times are those of the threads that feed a device
  std::vector<PartFact> rows;          ///< the longest first; then what no part has, and waiting
};

/// Lines without line ends, for a terminal of so many columns (0: as wide as it takes).
std::vector<std::string> profile_lines(const ProfileFacts& profile, std::size_t width = 0);
/// A heading for all forms: what was measured, of which part of the run.
std::string profile_title(const ProfileFacts& profile);
/// What the last column compares with; or why there is none.
std::string profile_ceiling_text(const ProfileFacts& profile);

/// The cells of a row after its part, in the order of kProfileColumns; "-" for what is absent.
std::vector<std::string> profile_cells(const PartFact& row);
inline constexpr const char* kProfileColumns[] = {"part", "share", "calls", "ms/step", "GFLOP/s", "GB/s", "ceiling"};

nlohmann::ordered_json to_json(const ProfileFacts& profile);
/// Inverse. Throws Error (bad_input), or an exception of the JSON library.
ProfileFacts profile_from_json(const nlohmann::ordered_json& json);

}  // namespace finetune
