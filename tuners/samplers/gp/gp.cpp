// The sampler: startup design, then the point with the highest acquisition under a Gaussian process of what is known.
#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "tuners/options.h"
#include "tuners/samplers/gp/acquisition.h"
#include "tuners/samplers/gp/encoding.h"
#include "tuners/samplers/gp/fit.h"
#include "tuners/samplers/gp/search.h"
#include "tuners/samplers/observations.h"
#include "tuners/samplers/samplers.h"

namespace finetune {
namespace {

constexpr Eigen::Index kFantasies = 16;
constexpr Eigen::Index kLookAround = 4;  // best observed points near which the search looks

struct Training {
  Eigen::MatrixXd latent_ND;
  Eigen::VectorXd value_N;  ///< higher is better, standardised
};

Eigen::VectorXd standardised(const Eigen::VectorXd& values) {
  const Eigen::VectorXd centred = values.array() - values.mean();
  const double deviation = std::sqrt(centred.squaredNorm() / static_cast<double>(values.size()));
  return centred / std::max(deviation, 1e-10);
}

Eigen::MatrixXd latent_rows(const gp::Encoding& encoding, const std::vector<const TrialRecord*>& trials) {
  Eigen::MatrixXd rows(static_cast<Eigen::Index>(trials.size()), encoding.dimensions());
  for (std::size_t i = 0; i < trials.size(); ++i)
    rows.row(static_cast<Eigen::Index>(i)) = encoding.to_latent(trials[i]->params);
  return rows;
}

// Trials that were stopped early or failed count like the worst that was observed; failed ones come last.
Training training_of(const gp::Encoding& encoding, const Observations& known) {
  std::vector<const TrialRecord*> trials;
  std::vector<double> values;
  for (const Observation& observation : known.observed) {
    trials.push_back(observation.trial);
    values.push_back(-observation.value);
  }
  const double worst = *std::min_element(values.begin(), values.end());
  for (const auto* ended : {&known.stopped, &known.failed}) {
    for (const TrialRecord* trial : *ended) {
      trials.push_back(trial);
      values.push_back(worst);
    }
  }
  return {latent_rows(encoding, trials),
          standardised(Eigen::Map<Eigen::VectorXd>(values.data(), static_cast<Eigen::Index>(values.size())))};
}

// The best observed points, best first.
Eigen::MatrixXd best_points(const Training& training) {
  std::vector<Eigen::Index> order(static_cast<std::size_t>(training.value_N.size()));
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<Eigen::Index>(i);
  std::stable_sort(order.begin(), order.end(),
                   [&](auto a, auto b) { return training.value_N(a) > training.value_N(b); });
  order.resize(std::min(order.size(), static_cast<std::size_t>(kLookAround)));
  return training.latent_ND(order, Eigen::all);
}

gp::Posterior objective_of(const gp::Encoding& encoding, const Training& training, const Observations& known,
                           Random random) {
  gp::Points points{encoding.to_model_rows(training.latent_ND), encoding.categorical()};
  const gp::Hyperparameters fitted = gp::fit(points, training.value_N);
  gp::Posterior posterior(std::move(points), training.value_N, fitted);
  if (!known.pending.empty()) {
    posterior.imagine(encoding.to_model_rows(latent_rows(encoding, known.pending)), kFantasies, random);
  }
  return posterior;
}

// Labels 1 and -1, standardised: far from every trial the probability is near the rate at which trials fail.
std::optional<gp::Feasibility> feasibility_of(const gp::Encoding& encoding, const Training& training,
                                              const Observations& known) {
  if (known.failed.empty()) return std::nullopt;
  const auto bad = static_cast<Eigen::Index>(known.failed.size());
  Eigen::VectorXd label_N = Eigen::VectorXd::Ones(training.latent_ND.rows());
  label_N.tail(bad).setConstant(-1);
  const double mean = label_N.mean(), deviation = std::sqrt(1 - mean * mean);
  label_N = standardised(label_N);
  gp::Points points{encoding.to_model_rows(training.latent_ND), encoding.categorical()};
  const gp::Hyperparameters fitted = gp::fit(points, label_N);
  return gp::Feasibility{gp::Posterior(std::move(points), label_N, fitted), -mean / deviation};
}

class GaussianProcess : public Sampler {
 public:
  GaussianProcess(SearchSpace space, std::uint64_t seed, std::int64_t startup)
      : space_(space), encoding_(std::move(space)), seed_(seed), startup_(startup) {}

  std::optional<Params> suggest(TrialId id, std::span<const TrialRecord> trials) override {
    // Trials of earlier studies stand for as many of those that would cover the space.
    const auto known_before = std::count_if(
        trials.begin(), trials.end(), [](const TrialRecord& trial) { return is_past(trial) && !trial.values.empty(); });
    if (id.value + known_before < startup_) return startup_point(id.value);
    const Observations known = observe(trials, static_cast<std::size_t>(startup_));
    if (known.observed.empty()) return uniform_point(id);
    const Training training = training_of(encoding_, known);
    const gp::Acquisition acquisition(objective_of(encoding_, training, known, stream(id, 1)),
                                      feasibility_of(encoding_, training, known));
    Params found = encoding_.to_params(gp::maximise(acquisition, encoding_, best_points(training), stream(id, 2)));
    // Only a space of few values brings back a configuration: all that is left there is chance. The best of an earlier
    // study is tried here once.
    const bool tried = std::any_of(trials.begin(), trials.end(),
                                   [&](const TrialRecord& trial) { return !is_past(trial) && trial.params == found; });
    return tried ? uniform_point(id) : found;
  }

 private:
  Random stream(TrialId id, std::uint64_t part) const {
    return {seed_, Purpose::sampler, 4 * static_cast<std::uint64_t>(id.value) + part};
  }

  Params uniform_point(TrialId id) const {
    Random random = stream(id, 0);
    return sample_uniform(space_, random);
  }

  // Latin hypercube (McKay, Beckman and Conover, Technometrics 21(2), 1979): each dimension is covered evenly.
  Params startup_point(std::int64_t k) const {
    Eigen::RowVectorXd latent(encoding_.dimensions());
    for (Eigen::Index d = 0; d < encoding_.dimensions(); ++d) {
      Random random(seed_, Purpose::sampler, (std::uint64_t{1} << 62) + static_cast<std::uint64_t>(d));
      const auto cell = permutation(startup_, random)[static_cast<std::size_t>(k)];
      random.seek(4096 + 2 * static_cast<std::uint64_t>(k));
      latent(d) =
          encoding_.coordinate_at(d, (static_cast<double>(cell) + random.uniform()) / static_cast<double>(startup_));
    }
    return encoding_.to_params(latent);
  }

  SearchSpace space_;
  gp::Encoding encoding_;
  std::uint64_t seed_;
  std::int64_t startup_;
};

std::unique_ptr<Sampler> make_gp(const OptionReader& options, const SamplerRequest& request) {
  const std::int64_t startup = options.whole("startup");
  return std::make_unique<GaussianProcess>(request.space, request.seed, startup);
}

}  // namespace

SamplerKind gp_kind() {
  return {"gp",
          "Bayesian optimisation with a Gaussian process",
          {whole_option("startup", "trials spread over the space before the model is used", 10, 1, 1000)},
          make_gp,
          true};
}

}  // namespace finetune
