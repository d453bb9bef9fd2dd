#include "tuners/samplers/priorband/centred.h"
#include "tuners/samplers/priorband/mixture.h"
#include "tuners/samplers/samplers.h"

namespace finetune {
namespace {

struct PriorBandOptions {
  std::int64_t eta = 3, rung = 0;
  Mutation mutation;  // its centres and confidence are the prior's
};

class PriorBand : public Sampler {
 public:
  PriorBand(SearchSpace space, std::uint64_t seed, PriorBandOptions options)
      : space_(std::move(space)), seed_(seed), options_(std::move(options)) {}

  std::optional<Params> suggest(TrialId id, std::span<const TrialRecord> trials) override {
    Random random(seed_, Purpose::sampler, static_cast<std::uint64_t>(id.value));
    const auto best = leaders(trials, options_.eta);
    const double uniform = uniform_share(options_.rung, options_.eta);
    const Shares shares =
        best ? shares_by(*best, uniform, space_, centres(), confidence()) : Shares{uniform, 1 - uniform, 0};
    const double u = random.uniform();
    if (u < shares.uniform) return sample_uniform(space_, random);
    if (!best || u < shares.uniform + shares.prior) return draw_around(space_, centres(), confidence(), random);
    return mutated(space_, best->incumbent->params, options_.mutation, random);
  }

 private:
  const Params& centres() const { return options_.mutation.centres; }
  double confidence() const { return options_.mutation.confidence; }

  SearchSpace space_;
  std::uint64_t seed_;
  PriorBandOptions options_;
};

std::unique_ptr<Sampler> make_priorband(const OptionReader& options, const SamplerRequest& request) {
  return std::make_unique<PriorBand>(request.space, request.seed,
                                     PriorBandOptions{.eta = options.whole("reduction_factor"),
                                                      .rung = options.whole("rung"),
                                                      .mutation = {.rate = options.number("mutation_rate"),
                                                                   .deviation = options.number("mutation_deviation"),
                                                                   .centres = request.start,
                                                                   .confidence = options.number("confidence")}});
}

}  // namespace

SamplerKind priorband_kind() {
  return {.name = "priorband",
          .what = "uniform draws, draws around the start values, and variations of the best, mixed by what was good",
          .options = {number_option("confidence",
                                    "in the start values: 1 less the deviation around them, in units of "
                                    "the range; of choices, the start's probability",
                                    0.75, 0, 0.99),
                      whole_option("reduction_factor", "as the scheduler's", 3, 2, 1000),
                      whole_option("rung", "at which new trials start: 1 / (1 + reduction_factor^rung) are uniform", 0,
                                   0, 20),
                      number_option("mutation_rate", "share of the best trial's parameters that change", 0.5, 0, 1),
                      number_option("mutation_deviation", "by how much, in units of the range", 0.25, 0.001, 10)},
          .make = make_priorband,
          .learns = true};
}

}  // namespace finetune
