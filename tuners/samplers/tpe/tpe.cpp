#include <algorithm>
#include <optional>

#include "tuners/options.h"
#include "tuners/samplers/samplers.h"
#include "tuners/samplers/tpe/model.h"

namespace finetune {
namespace {

struct TpeOptions {
  bool optuna4 = false, multivariate = true, group = true, constant_liar = true;
  std::size_t startup = 10, candidates = 24;
};

TpeOptions read_options(const OptionReader& reader) {
  TpeOptions options;
  options.optuna4 = reader.choice("mode") == "optuna4";
  options.multivariate = reader.flag("multivariate", !options.optuna4);
  options.group = reader.flag("group", options.multivariate && !options.optuna4);
  options.constant_liar = reader.flag("constant_liar", !options.optuna4);
  options.startup = static_cast<std::size_t>(reader.whole("startup"));
  options.candidates = static_cast<std::size_t>(reader.whole("candidates"));
  if (options.group && !options.multivariate) reader.refuse("group", "needs multivariate: true");
  return options;
}

// One suggestion in the making: what is known, and the numbers drawn so far. A group is drawn when its first parameter
// is wanted; whatever is in no group is drawn alone.
class Suggestion {
 public:
  Suggestion(const SearchSpace& space, const TpeOptions& options, const TrialSplit& split, Random random)
      : space_(space),
        options_(options),
        random_(random),
        good_(table_of(space, split.good)),
        bad_(table_of(space, split.bad)),
        drawn_(space.parameters.size()) {
    if (!options.multivariate) return;
    groups_ = options.group ? groups_in(space, split.finished) : shared_by_all(space, split.finished);
  }

  Params make() {
    Params params;
    for (std::size_t i = 0; i < space_.parameters.size(); ++i) {
      const ParameterSpec& spec = space_.parameters[i];
      if (is_active(spec, params)) params.emplace_back(spec.name, value_for(i));
    }
    return params;
  }

 private:
  bool fixed(std::size_t i) const { return space_.parameters[i].count() == 1; }

  Value value_for(std::size_t i) {
    if (fixed(i)) return nth_value(space_.parameters[i], 0);
    if (!drawn_[i]) draw_group(group_with(i));
    return value_of(space_.parameters[i], *drawn_[i]);
  }

  std::vector<std::size_t> group_with(std::size_t i) const {
    for (const auto& group : groups_) {
      if (std::find(group.begin(), group.end(), i) == group.end()) continue;
      std::vector<std::size_t> free = group;
      std::erase_if(free, [&](std::size_t member) { return fixed(member); });
      return free;
    }
    return {i};
  }

  void draw_group(const std::vector<std::size_t>& group) {
    const bool wide = options_.optuna4 && options_.multivariate;
    const TpeModel model = fit_model(space_, group, good_, bad_, wide ? Bandwidth::dimensions : Bandwidth::neighbours);
    const std::vector<double> point = propose(model, options_.candidates, random_);
    for (std::size_t k = 0; k < group.size(); ++k) drawn_[group[k]] = point[k];
  }

  const SearchSpace& space_;
  const TpeOptions& options_;
  Random random_;
  ParamTable good_, bad_;
  Groups groups_;
  std::vector<std::optional<double>> drawn_;
};

class Tpe : public Sampler {
 public:
  Tpe(SearchSpace space, TpeOptions options, std::uint64_t seed)
      : space_(std::move(space)), options_(options), seed_(seed) {}

  std::optional<Params> suggest(TrialId id, std::span<const TrialRecord> trials) override {
    Random random(seed_, Purpose::sampler, static_cast<std::uint64_t>(id.value));
    const TrialSplit split = split_of(trials);
    if (split.finished.size() < options_.startup) return sample_uniform(space_, random);
    return Suggestion(space_, options_, split, random).make();
  }

 private:
  TrialSplit split_of(std::span<const TrialRecord> trials) const {
    if (options_.optuna4) return split_like_optuna(trials, options_.constant_liar);
    const std::size_t enough = std::max(options_.startup, space_.parameters.size() + 1);
    return split_at_one_step(trials, enough, options_.constant_liar);
  }

  SearchSpace space_;
  TpeOptions options_;
  std::uint64_t seed_;
};

std::unique_ptr<Sampler> make_tpe(const OptionReader& reader, const SamplerRequest& request) {
  return std::make_unique<Tpe>(request.space, read_options(reader), request.seed);
}

}  // namespace

SamplerKind tpe_kind() {
  const std::string by_mode = "true, with mode optuna4 false";
  return {"tpe",
          "tree-structured Parzen estimator",
          {choice_option("mode", "Optuna 5.0's rules, or Optuna 4.9's to the letter", {"standard", "optuna4"}),
           without(flag_option("multivariate", "one density over all parameters", std::nullopt), by_mode),
           without(flag_option("group",
                               "conditional parameters together with those they always occur with; needs "
                               "multivariate",
                               std::nullopt),
                   "as multivariate, with mode optuna4 false"),
           without(flag_option("constant_liar", "pending trials count as bad", std::nullopt), by_mode),
           whole_option("startup", "random trials that must have finished first", 10, 0),
           whole_option("candidates", "draws of which the best is taken", 24, 1, 1'000'000)},
          make_tpe,
          true};
}

}  // namespace finetune
