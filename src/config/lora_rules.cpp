#include "config/lora_rules.h"

#include <algorithm>
#include <string>

#include "config/fields.h"
#include "core/error.h"

namespace finetune {
namespace {

// A value that a key may have.
struct Wish {
  std::string key;
  bool fixed;  // the configuration's own is one
  bool (*holds)(const Value&);
};

const SearchParameter* searched(const RunConfig& config, const std::string& key) {
  const auto found = std::ranges::find(config.search, key, &SearchParameter::name);
  return found == config.search.end() ? nullptr : &*found;
}

bool some_trial_has(const RunConfig& config, const Wish& wish) {
  const SearchParameter* parameter = searched(config, wish.key);
  if (parameter == nullptr) return wish.fixed;
  const bool inactive = wish.fixed && !parameter->when.empty();
  if (parameter->choices.empty()) return inactive || wish.holds(Value(parameter->high));
  return inactive || std::ranges::any_of(parameter->choices, wish.holds);
}

// `one` is searched only where the other key has values that are not wished.
bool only_without(const RunConfig& config, const Wish& one, const Wish& other) {
  const SearchParameter* parameter = searched(config, one.key);
  if (parameter == nullptr || one.fixed) return false;
  return std::ranges::any_of(parameter->when, [&](const auto& condition) {
    return condition.first == other.key && std::ranges::none_of(condition.second, other.holds);
  });
}

bool some_trial_has_both(const RunConfig& config, const Wish& a, const Wish& b) {
  return some_trial_has(config, a) && some_trial_has(config, b) && !only_without(config, a, b) &&
         !only_without(config, b, a);
}

Wish dora_of(const RunConfig& config) {
  return {"train.lora.dora", config.train.lora.dora, [](const Value& value) { return to_text(value) == "true"; }};
}

Wish pissa_of(const RunConfig& config) {
  return {"train.lora.init", config.train.lora.init == LoraInit::pissa,
          [](const Value& value) { return to_text(value) == "pissa"; }};
}

Wish dropout_of(const RunConfig& config) {
  return {"train.lora.dropout", config.train.lora.dropout > 0, [](const Value& value) { return as_number(value) > 0; }};
}

// Of a run that trains all weights.
void refuse_lora_keys(const RunConfig& config) {
  for (const Field& field : config_fields()) {
    if (field.key.starts_with("train.lora.") && !is_default(config, field.key))
      throw bad_input("", field.key + " has no meaning with train.method: full, which has no adapters");
  }
}

}  // namespace

bool some_trial_is_dora(const RunConfig& config) {
  return !config.train.full() && some_trial_has(config, dora_of(config));
}

bool some_trial_is_pissa(const RunConfig& config) {
  return !config.train.full() && some_trial_has(config, pissa_of(config));
}

void check_lora(const RunConfig& config) {
  if (config.train.full()) return refuse_lora_keys(config);
  const Wish dora = dora_of(config), pissa = pissa_of(config), dropout = dropout_of(config);
  if (some_trial_has_both(config, dora, dropout))
    throw bad_input("", "train.lora.dora and train.lora.dropout above 0 do not go together: leave one out");
  if (some_trial_has_both(config, pissa, dropout))
    throw bad_input("", "train.lora.init: pissa and train.lora.dropout above 0 do not go together: leave one out");
  const LoraConfig& lora = config.train.lora;
  if (some_trial_has(config, pissa) && !(lora.rank_pattern.empty() && lora.alpha_pattern.empty()))
    throw bad_input("", "train.lora.init: pissa and train.lora." +
                            std::string(lora.rank_pattern.empty() ? "alpha_pattern" : "rank_pattern") +
                            " do not go together: leave one out");
  if (some_trial_has_both(config, dora, pissa))
    throw bad_input("", "train.lora.dora and train.lora.init: pissa do not go together: leave one out");
}

}  // namespace finetune
