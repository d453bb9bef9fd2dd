#include "tuners/samplers/gp/search.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "tuners/samplers/gp/lbfgs.h"

namespace finetune::gp {
namespace {

constexpr Eigen::Index kUniform = 384, kAround = 128;  // points scored: anywhere, and near known ones
constexpr Eigen::Index kStarts = 8;
constexpr int kRounds = 10;           // of gradients and neighbours in turn
constexpr std::int64_t kListed = 16;  // of a longer dimension only neighbours at doubling distances are tried
constexpr LbfgsOptions kClimb{.max_iterations = 50, .gradient_tolerance = 1e-3, .value_tolerance = 1e-5};

/// Starts on their way up: latent points and the acquisition there.
struct Climbers {
  Eigen::MatrixXd latent_SD;
  Eigen::VectorXd value_S;
};

Eigen::MatrixXd uniform_points(const Encoding& encoding, Random& random) {
  Eigen::MatrixXd latent_MD(kUniform, encoding.dimensions());
  for (Eigen::Index m = 0; m < kUniform; ++m) {
    for (Eigen::Index d = 0; d < encoding.dimensions(); ++d)
      latent_MD(m, d) = encoding.coordinate_at(d, random.uniform());
  }
  return latent_MD;
}

double moved(const Encoding& encoding, Eigen::Index d, double coordinate, double spread, Random& random) {
  if (!encoding.discrete(d)) return std::clamp(coordinate + spread * random.normal(), 0.0, 1.0);
  const auto last = static_cast<double>(encoding.count(d) - 1);
  if (encoding.categorical()[static_cast<std::size_t>(d)]) return std::round(random.uniform() * last);
  return std::clamp(std::round(coordinate + std::max(1.0, spread * last) * random.normal()), 0.0, last);
}

// Copies of known points with some coordinates moved, at all scales from a hundredth to a third of the range.
Eigen::MatrixXd points_around(const Encoding& encoding, const Eigen::MatrixXd& known_KD, Random& random) {
  Eigen::MatrixXd latent_MD(kAround, encoding.dimensions());
  const double share = std::max(0.3, 2.0 / static_cast<double>(encoding.dimensions()));
  for (Eigen::Index m = 0; m < kAround; ++m) {
    latent_MD.row(m) = known_KD.row(m % known_KD.rows());
    const double spread = 0.01 * std::pow(33.0, random.uniform());
    for (Eigen::Index d = 0; d < encoding.dimensions(); ++d) {
      if (random.uniform() < share) latent_MD(m, d) = moved(encoding, d, latent_MD(m, d), spread, random);
    }
  }
  return latent_MD;
}

// The best point scored, then others drawn without replacement in proportion to exp(value).
std::vector<Eigen::Index> choose_starts(const Eigen::VectorXd& value_M, Eigen::Index count, Random& random) {
  std::vector<std::pair<double, Eigen::Index>> keyed;  // the Gumbel trick: the largest keys are such a draw
  for (Eigen::Index m = 0; m < value_M.size(); ++m) {
    keyed.emplace_back(value_M(m) - std::log(-std::log(random.uniform() + 1e-300)), m);
  }
  Eigen::Index best;
  value_M.maxCoeff(&best);
  keyed[static_cast<std::size_t>(best)].first = std::numeric_limits<double>::infinity();
  std::partial_sort(keyed.begin(), keyed.begin() + count, keyed.end(), std::greater<>());
  std::vector<Eigen::Index> chosen;
  for (Eigen::Index i = 0; i < count; ++i) chosen.push_back(keyed[static_cast<std::size_t>(i)].second);
  return chosen;
}

Climbers find_starts(const Acquisition& acquisition, const Encoding& encoding, const Eigen::MatrixXd& known_KD,
                     Random& random) {
  Eigen::MatrixXd latent_MD(kUniform + kAround, encoding.dimensions());
  latent_MD << uniform_points(encoding, random), points_around(encoding, known_KD, random);
  const auto chosen = choose_starts(acquisition(encoding.to_model_rows(latent_MD)), kStarts - 1, random);
  Climbers climbers{Eigen::MatrixXd(kStarts, encoding.dimensions()), {}};
  climbers.latent_SD.row(0) = known_KD.row(0);
  for (Eigen::Index s = 1; s < kStarts; ++s)
    climbers.latent_SD.row(s) = latent_MD.row(chosen[static_cast<std::size_t>(s - 1)]);
  climbers.value_S = acquisition(encoding.to_model_rows(climbers.latent_SD));
  return climbers;
}

// One start's climb in its active continuous dimensions, in units of length scales.
struct Climb {
  Eigen::Index start;
  std::vector<Eigen::Index> dimensions;
  Eigen::VectorXd unit;  // what a coordinate is multiplied by
  Lbfgs run;

  void write(Eigen::MatrixXd& latent_SD, const Eigen::VectorXd& point) const {
    for (std::size_t i = 0; i < dimensions.size(); ++i) {
      const auto k = static_cast<Eigen::Index>(i);
      latent_SD(start, dimensions[i]) = std::clamp(point(k) / unit(k), 0.0, 1.0);
    }
  }
};

std::vector<Climb> prepare_climbs(const Climbers& climbers, const Encoding& encoding, const Eigen::VectorXd& units_D) {
  std::vector<Climb> climbs;
  for (Eigen::Index s = 0; s < climbers.latent_SD.rows(); ++s) {
    const std::vector<bool> active = encoding.active(climbers.latent_SD.row(s));
    std::vector<Eigen::Index> dimensions;
    for (Eigen::Index d = 0; d < encoding.dimensions(); ++d) {
      if (active[static_cast<std::size_t>(d)] && !encoding.discrete(d)) dimensions.push_back(d);
    }
    if (dimensions.empty()) continue;
    const Eigen::VectorXd unit = units_D(dimensions);
    const Eigen::VectorXd from = climbers.latent_SD.row(s)(dimensions).transpose().cwiseProduct(unit);
    climbs.push_back({s, dimensions, unit, Lbfgs(from, Eigen::VectorXd::Zero(unit.size()), unit, kClimb)});
  }
  return climbs;
}

// Steps all unfinished climbs with one evaluation of the acquisition.
void climb_once(std::vector<Climb*>& unfinished, const Acquisition& acquisition, const Encoding& encoding,
                const Eigen::MatrixXd& latent_SD) {
  Eigen::MatrixXd moved_SD = latent_SD;
  Eigen::MatrixXd model_MD(static_cast<Eigen::Index>(unfinished.size()), latent_SD.cols()), gradient_MD;
  for (std::size_t i = 0; i < unfinished.size(); ++i) {
    unfinished[i]->write(moved_SD, unfinished[i]->run.point());
    model_MD.row(static_cast<Eigen::Index>(i)) = encoding.to_model(moved_SD.row(unfinished[i]->start));
  }
  const Eigen::VectorXd value_M = acquisition(model_MD, &gradient_MD);
  for (std::size_t i = 0; i < unfinished.size(); ++i) {
    const auto m = static_cast<Eigen::Index>(i);
    const Eigen::VectorXd gradient =
        gradient_MD.row(m)(unfinished[i]->dimensions).transpose().cwiseQuotient(unfinished[i]->unit);
    unfinished[i]->run.tell(-value_M(m), -gradient);
  }
}

void climb_by_gradients(Climbers& climbers, const Acquisition& acquisition, const Encoding& encoding) {
  std::vector<Climb> climbs = prepare_climbs(climbers, encoding, acquisition.inverse_lengths_D());
  while (true) {
    std::vector<Climb*> unfinished;
    for (Climb& climb : climbs) {
      if (!climb.run.done()) unfinished.push_back(&climb);
    }
    if (unfinished.empty()) break;
    climb_once(unfinished, acquisition, encoding, climbers.latent_SD);
  }
  for (const Climb& climb : climbs) {
    if (-climb.run.best_value() <= climbers.value_S(climb.start)) continue;
    climb.write(climbers.latent_SD, climb.run.best());
    climbers.value_S(climb.start) = -climb.run.best_value();
  }
}

// Other values to try in a discrete dimension: all of a short one or of categories, else those 1, 2, 4, ... away.
std::vector<double> neighbours(const Encoding& encoding, Eigen::Index d, double coordinate) {
  std::vector<double> others;
  const auto last = static_cast<double>(encoding.count(d) - 1);
  if (encoding.categorical()[static_cast<std::size_t>(d)] || encoding.count(d) <= kListed) {
    for (double k = 0; k <= last; ++k) {
      if (k != coordinate) others.push_back(k);
    }
    return others;
  }
  for (double away = 1; away <= last; away *= 2) {
    if (coordinate - away >= 0) others.push_back(coordinate - away);
    if (coordinate + away <= last) others.push_back(coordinate + away);
  }
  return others;
}

// Tries all neighbours of all starts in dimension d; true where some start moved.
bool climb_in_dimension(Climbers& climbers, Eigen::Index d, const Acquisition& acquisition, const Encoding& encoding) {
  std::vector<std::pair<Eigen::Index, double>> moves;
  for (Eigen::Index s = 0; s < climbers.latent_SD.rows(); ++s) {
    if (!encoding.active(climbers.latent_SD.row(s))[static_cast<std::size_t>(d)]) continue;
    for (const double other : neighbours(encoding, d, climbers.latent_SD(s, d))) moves.emplace_back(s, other);
  }
  if (moves.empty()) return false;
  Eigen::MatrixXd latent_MD(static_cast<Eigen::Index>(moves.size()), climbers.latent_SD.cols());
  for (std::size_t i = 0; i < moves.size(); ++i) {
    latent_MD.row(static_cast<Eigen::Index>(i)) = climbers.latent_SD.row(moves[i].first);
    latent_MD(static_cast<Eigen::Index>(i), d) = moves[i].second;
  }
  const Eigen::VectorXd value_M = acquisition(encoding.to_model_rows(latent_MD));
  bool any = false;
  for (std::size_t i = 0; i < moves.size(); ++i) {
    const auto [s, other] = moves[i];
    if (value_M(static_cast<Eigen::Index>(i)) <= climbers.value_S(s)) continue;
    climbers.value_S(s) = value_M(static_cast<Eigen::Index>(i));
    climbers.latent_SD(s, d) = other;
    any = true;
  }
  return any;
}

bool climb_by_neighbours(Climbers& climbers, const Acquisition& acquisition, const Encoding& encoding) {
  bool any = false;
  for (Eigen::Index d = 0; d < encoding.dimensions(); ++d) {
    if (encoding.count(d) > 1) any |= climb_in_dimension(climbers, d, acquisition, encoding);
  }
  return any;
}

}  // namespace

Eigen::RowVectorXd maximise(const Acquisition& acquisition, const Encoding& encoding, const Eigen::MatrixXd& known_KD,
                            Random random) {
  Climbers climbers = find_starts(acquisition, encoding, known_KD, random);
  for (int round = 0; round < kRounds; ++round) {
    climb_by_gradients(climbers, acquisition, encoding);
    if (!climb_by_neighbours(climbers, acquisition, encoding)) break;
  }
  Eigen::Index best;
  climbers.value_S.maxCoeff(&best);
  return climbers.latent_SD.row(best);
}

}  // namespace finetune::gp
