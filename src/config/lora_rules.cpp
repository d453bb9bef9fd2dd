#include "config/lora_rules.h"

#include <algorithm>

#include "core/error.h"

namespace finetune {
namespace {

// Whether `holds` of a value that a trial may have; null: the key is not searched.
template <typename Holds>
bool some_trial(const RunConfig& config, const std::string& key, bool fixed, const Holds& holds) {
  const auto searched = std::ranges::find(config.search, key, &SearchParameter::name);
  if (searched == config.search.end()) return fixed;
  if (searched->choices.empty()) return holds(Value(searched->high));
  return std::ranges::any_of(searched->choices, holds);
}

bool some_trial_drops(const RunConfig& config) {
  return some_trial(config, "train.lora.dropout", config.train.lora.dropout > 0,
                    [](const Value& value) { return as_number(value) > 0; });
}

}  // namespace

bool some_trial_is_dora(const RunConfig& config) {
  return !config.train.full() && some_trial(config, "train.lora.dora", config.train.lora.dora,
                                            [](const Value& value) { return to_text(value) == "true"; });
}

bool some_trial_is_pissa(const RunConfig& config) {
  return !config.train.full() && some_trial(config, "train.lora.init", config.train.lora.init == LoraInit::pissa,
                                            [](const Value& value) { return to_text(value) == "pissa"; });
}

void check_lora(const RunConfig& config) {
  const bool dora = some_trial_is_dora(config), pissa = some_trial_is_pissa(config);
  if (dora && some_trial_drops(config))
    throw bad_input("", "train.lora.dora and train.lora.dropout above 0 do not go together: leave one out");
  if (pissa && some_trial_drops(config))
    throw bad_input("", "train.lora.init: pissa and train.lora.dropout above 0 do not go together: leave one out");
  const LoraConfig& lora = config.train.lora;
  if (pissa && !(lora.rank_pattern.empty() && lora.alpha_pattern.empty()))
    throw bad_input("", "train.lora.init: pissa and train.lora." +
                            std::string(lora.rank_pattern.empty() ? "alpha_pattern" : "rank_pattern") +
                            " do not go together: leave one out");
  if (dora && pissa)
    throw bad_input("", "train.lora.dora and train.lora.init: pissa do not go together: leave one out");
}

}  // namespace finetune
