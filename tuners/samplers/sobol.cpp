#include "tuners/options.h"
#include "tuners/samplers/samplers.h"
#include "tuners/samplers/sobol_points.h"

namespace finetune {
namespace {

class SobolSampler : public Sampler {
 public:
  SobolSampler(SearchSpace space, std::uint64_t seed) : space_(std::move(space)), seed_(seed) {}
  std::optional<Params> suggest(TrialId id, std::span<const TrialRecord>) override {
    return params_at(space_, sobol_point(static_cast<std::uint32_t>(id.value), space_.parameters.size(), seed_));
  }

 private:
  SearchSpace space_;
  std::uint64_t seed_;
};

std::unique_ptr<Sampler> make_sobol(const OptionReader&, const SamplerRequest& request) {
  return std::make_unique<SobolSampler>(request.space, request.seed);
}

}  // namespace

SamplerKind sobol_kind() {
  return {"sobol", "points of a scrambled Sobol sequence", {}, make_sobol};
}

}  // namespace finetune
