// Pictures: SVG that is stretched to whatever width there is, so that a phone and a sheet of paper get the same marks
// at a size that can be read. Coordinates run from 0 to 1000 both ways; strokes keep their width; labels are text of
// the page beside it. A mark of a trial carries its id (data-t), by which the script finds it in every picture.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/trial.h"

namespace finetune::html {

/// From values to 0..1000.
class Scale {
 public:
  Scale() = default;
  /// `high` above `low`, else a little is added; `log` needs low > 0.
  Scale(double low, double high, bool log = false);
  /// Clamped to the ends.
  double at(double value) const;
  bool log() const { return log_; }

  struct Tick {
    double at = 0;  ///< 0..1000
    std::string label;
  };
  /// Round values, about `count` of them.
  std::vector<Tick> ticks(int count) const;
  /// The same of steps, rounds: whole numbers alone.
  std::vector<Tick> whole_ticks(int count) const;

 private:
  std::vector<Tick> ticks_every(double every) const;
  std::vector<Tick> ticks_of_logarithms(int count) const;

  double low_ = 0, high_ = 1;
  bool log_ = false;
};

/// The range of a metric: all of it but the worst tenth, so that a trial that diverges does not flatten the others;
/// logarithmic where it spans more than a factor of 50. `values` must not be empty and finite.
Scale fit_metric(std::vector<double> values, Direction direction);

struct Plot {
  std::string label;  ///< what it shows, for who does not see it; not escaped
  std::string x_title, y_title;
  int height = 260;  ///< in pixels
  Scale x, y;        ///< y upwards
  std::vector<Scale::Tick> x_ticks, y_ticks;
  bool grid_x = false;
  std::string marks;    ///< SVG
  std::string caption;  ///< HTML
};

/// A figure.
std::string draw(const Plot& plot);

/// Marks, of whichever trial (-1: of none), with a class of page.css.
std::string dot(const Plot& plot, double x, double y, std::int64_t trial, const char* style);
std::string line(const Plot& plot, const std::vector<std::pair<double, double>>& points, std::int64_t trial,
                 const char* style);
/// From the bottom to the top.
std::string rule(const Plot& plot, double x, const char* style);

/// Where trials are rows: every how many of them a label stands, 1, 2, 5, 10, ...
std::size_t label_every(std::size_t rows);

/// Of a long curve the lowest and highest value in each of `most` / 2 stretches, in order: what a drawing of it shows.
std::vector<std::pair<double, double>> thinned(std::vector<std::pair<double, double>> points, std::size_t most);

}  // namespace finetune::html
