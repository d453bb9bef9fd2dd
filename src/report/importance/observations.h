// What importance is computed from: trials as points, a parameter an axis, and how well each did. Torch-free.
#pragma once

#include <cstddef>
#include <vector>

namespace finetune {

/// The values that a parameter can have: a range with both ends included, or choices, whose values are their indices.
struct Axis {
  std::size_t choices = 0;  ///< 0: a range
  double low = 0, high = 1;
  bool log = false;
  bool integer = false;  ///< whole numbers, `step` apart where that is not 0
  double step = 0;       ///< values are low + k x step; 0: a continuum, or every whole number

  /// Whether it has one value only, which can make no difference.
  bool single() const { return choices > 0 ? choices == 1 : !(high > low); }
  /// Distance between neighbouring values, 0 for a continuum.
  double spacing() const { return step > 0 ? step : integer ? 1.0 : 0.0; }
};

struct PlainPoints {
  std::vector<Axis> axes;
  std::vector<std::vector<double>> points;  ///< of each trial a value an axis
  std::vector<double> losses;               ///< of each trial; lower is better, all finite
};

}  // namespace finetune
