#include "tuners/samplers/warm_started.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "tuners/record_json.h"

namespace finetune {
namespace {

class WarmStarted : public Sampler {
 public:
  WarmStarted(std::vector<TrialRecord> past, std::unique_ptr<Sampler> inner)
      : past_(past.size()), seen_(std::move(past)), inner_(std::move(inner)) {}

  std::optional<Params> suggest(TrialId id, std::span<const TrialRecord> trials) override {
    seen_.resize(past_);
    seen_.insert(seen_.end(), trials.begin(), trials.end());
    return inner_->suggest(id, seen_);
  }

  nlohmann::json save() const override {
    nlohmann::json past = nlohmann::json::array();
    for (std::size_t i = 0; i < past_; ++i) past.push_back(record_json(seen_[i]));
    return {{"past", past}, {"inner", inner_->save()}};
  }

  void load(const nlohmann::json& state) override {
    const nlohmann::json& past = state.at("past");
    std::vector<TrialRecord> seen;
    std::int64_t id = -static_cast<std::int64_t>(past.size());
    for (const auto& json : past) seen.push_back(record_from(TrialId{id++}, json));
    inner_->load(state.at("inner"));
    past_ = seen.size();
    seen_ = std::move(seen);
  }

 private:
  std::size_t past_;               // so many of seen_
  std::vector<TrialRecord> seen_;  // the past, then this study's trials as of the last proposal
  std::unique_ptr<Sampler> inner_;
};

}  // namespace

std::unique_ptr<Sampler> make_warm_started(std::vector<TrialRecord> past, std::unique_ptr<Sampler> inner) {
  return std::make_unique<WarmStarted>(std::move(past), std::move(inner));
}

}  // namespace finetune
