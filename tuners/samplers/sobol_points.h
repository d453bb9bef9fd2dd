// Points of the Sobol sequence, plain and scrambled by a seed. Free functions: a point depends on its arguments alone.
// Direction numbers: S. Joe and F. Y. Kuo, "Constructing Sobol sequences with better two-dimensional projections"
// (SIAM J. Sci. Comput. 30, 2008), table new-joe-kuo-6, first 128 dimensions; order of points: Gray code (Antonov and
// Saleev, 1979), as scipy's. Scrambling: Owen's nested uniform scrambling by a hash (Burley, "Practical Hash-based Owen
// Scrambling", JCGT 9(4), 2020), so any 2^k points from the start stay as evenly spread as the plain ones.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace finetune {

/// Dimensions of the table.
inline constexpr std::size_t kSobolDimensions = 128;

/// 32 binary digits of coordinate `dimension` (below kSobolDimensions) of point `index`: times 2^-32 it is in [0, 1).
std::uint32_t sobol_bits(std::uint32_t index, std::size_t dimension);

/// Scrambled point, each coordinate uniform in (0, 1) over seeds. Beyond kSobolDimensions the table starts again, with
/// the points in another (scrambled) order: Burley's padding, even within each block of 128 dimensions.
std::vector<double> sobol_point(std::uint32_t index, std::size_t dimensions, std::uint64_t seed);

}  // namespace finetune
