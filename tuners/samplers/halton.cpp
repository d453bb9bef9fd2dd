#include "tuners/options.h"
#include "tuners/samplers/halton_points.h"
#include "tuners/samplers/samplers.h"

namespace finetune {
namespace {

class HaltonSampler : public Sampler {
 public:
  HaltonSampler(SearchSpace space, std::uint64_t seed)
      : space_(std::move(space)), points_(space_.parameters.size(), seed) {}
  std::optional<Params> suggest(TrialId id, std::span<const TrialRecord>) override {
    return params_at(space_, points_.point(static_cast<std::uint64_t>(id.value)));
  }

 private:
  SearchSpace space_;
  ScrambledHalton points_;
};

std::unique_ptr<Sampler> make_halton(const OptionReader&, const SamplerRequest& request) {
  return std::make_unique<HaltonSampler>(request.space, request.seed);
}

}  // namespace

SamplerKind halton_kind() {
  return {"halton", "points of a scrambled Halton sequence", {}, make_halton};
}

}  // namespace finetune
