#include "tuners/samplers/enqueued.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/text.h"
#include "tuners/space/checked_value.h"

namespace finetune {
namespace {

void check_condition(const std::string& key, const ParameterSpec& spec, const Params& listed) {
  for (const auto& [parent, values] : spec.when) {
    const Value* value = find_param(listed, parent);
    const auto holds = [&](const Value& wanted) { return value != nullptr && same_value(wanted, *value); };
    if (std::any_of(values.begin(), values.end(), holds)) continue;
    throw bad_input("", key + " is used only where " + parent + " is " + choices_text(values, " or ") + "; " +
                            (value == nullptr ? "list that too" : "here it is " + to_text(*value)));
  }
}

void check_names(const std::string& at, const SearchSpace& space, const Params& listed) {
  for (std::size_t i = 0; i < listed.size(); ++i) {
    const std::string& name = listed[i].first;
    if (space.find(name) == nullptr) {
      throw bad_input("", at + name + " is not searched; searched: " + join(names_of(space), ", ") +
                              did_you_mean(name, names_of(space)));
    }
    if (find_param(listed, name) != &listed[i].second) throw bad_input("", at + name + " is listed twice");
  }
}

// In the space's order, so conditions are checked on values that are themselves checked.
Params checked_trial(const std::string& at, const SearchSpace& space, const Params& listed) {
  check_names(at, space, listed);
  Params checked;
  for (const auto& spec : space.parameters) {
    const Value* value = find_param(listed, spec.name);
    if (value == nullptr) continue;
    const std::string key = at + spec.name;
    check_condition(key, spec, checked);
    checked.emplace_back(spec.name, checked_value(key, spec, *value));
  }
  return checked;
}

class Enqueued : public Sampler {
 public:
  Enqueued(SearchSpace space, std::vector<Params> list, std::uint64_t seed, std::unique_ptr<Sampler> inner)
      : space_(std::move(space)), list_(std::move(list)), seed_(seed), inner_(std::move(inner)) {}

  std::optional<Params> suggest(TrialId id, std::span<const TrialRecord> trials) override {
    const auto k = static_cast<std::size_t>(id.value);
    if (k >= list_.size()) return inner_->suggest(id, trials);
    if (is_whole(list_[k])) return list_[k];
    return completed(list_[k], id, inner_->suggest(id, trials).value_or(Params{}));
  }
  nlohmann::json save() const override { return inner_->save(); }
  void load(const nlohmann::json& state) override { inner_->load(state); }

 private:
  bool is_whole(const Params& listed) const {
    return std::all_of(space_.parameters.begin(), space_.parameters.end(), [&](const ParameterSpec& spec) {
      return find_param(listed, spec.name) != nullptr || !is_active(spec, listed);
    });
  }

  Params completed(const Params& listed, TrialId id, const Params& proposed) const {
    Random random(seed_, Purpose::sampler, static_cast<std::uint64_t>(id.value));
    Params params;
    for (const auto& spec : space_.parameters) {
      const double u = random.uniform();  // for every parameter: the draw of one does not depend on the others
      if (!is_active(spec, params)) continue;
      const Value* value = find_param(listed, spec.name);
      if (value == nullptr) value = find_param(proposed, spec.name);
      params.emplace_back(spec.name, value == nullptr ? value_at(spec, u) : *value);
    }
    return params;
  }

  SearchSpace space_;
  std::vector<Params> list_;
  std::uint64_t seed_;
  std::unique_ptr<Sampler> inner_;
};

}  // namespace

std::vector<Params> checked_enqueue(const SearchSpace& space, const std::vector<Params>& list) {
  std::vector<Params> checked;
  for (std::size_t k = 0; k < list.size(); ++k)
    checked.push_back(checked_trial("tune.enqueue[" + std::to_string(k) + "].", space, list[k]));
  return checked;
}

std::unique_ptr<Sampler> make_enqueued(SearchSpace space, std::vector<Params> list, std::uint64_t seed,
                                       std::unique_ptr<Sampler> inner) {
  return std::make_unique<Enqueued>(std::move(space), std::move(list), seed, std::move(inner));
}

}  // namespace finetune
