#include "tuners/options.h"
#include "tuners/samplers/samplers.h"

namespace finetune {
namespace {

class RandomSampler : public Sampler {
 public:
  RandomSampler(SearchSpace space, std::uint64_t seed) : space_(std::move(space)), seed_(seed) {}
  std::optional<Params> suggest(TrialId id, std::span<const TrialRecord>) override {
    Random random(seed_, Purpose::sampler, static_cast<std::uint64_t>(id.value));
    return sample_uniform(space_, random);
  }

 private:
  SearchSpace space_;
  std::uint64_t seed_;
};

std::unique_ptr<Sampler> make_random(const OptionReader&, const SamplerRequest& request) {
  return std::make_unique<RandomSampler>(request.space, request.seed);
}

}  // namespace

SamplerKind random_kind() {
  return {"random", "independent uniform draws", {}, make_random};
}

}  // namespace finetune
