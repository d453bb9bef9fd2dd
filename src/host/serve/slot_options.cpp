#include "host/serve/slot_options.h"

#include <array>

#include "config/fields.h"
#include "config/lora_rules.h"
#include "config/params.h"
#include "core/error.h"
#include "engine/adopt_adapter.h"
#include "host/serve/fields.h"

namespace finetune {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::array kLoraFields{"rank", "alpha",      "targets",      "dropout",       "rslora",         "init",
                                 "dora", "rate_ratio", "rank_pattern", "alpha_pattern", "modules_to_save"};

void replace_all(std::string& text, const std::string& from, const std::string& to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
}

// Keys of the configuration are fields here.
Error in_words_of_open(const Error& error) {
  std::string text = error.message();
  replace_all(text, "train.lora.", "open.");
  replace_all(text, "train.seed", "open.seed");
  replace_all(text, "model.adapter", "open.adapter");
  return {error.kind(), error.where() == "open" ? "" : error.where(), text};
}

void set(RunConfig& config, const std::string& key, const Json& value) {
  const ConfigNode node = parse_config("open", Json{{"value", value}}.dump());
  set_key(config, key, *node.find("value"));
}

}  // namespace

OpenedSlot slot_options(const Json& body, const Session& session) {
  Fields fields(body, "open");
  RunConfig config;
  config.train = session.config.train;
  OpenedSlot slot;
  try {
    for (const char* name : kLoraFields) {
      if (const Json* value = fields.find(name)) set(config, std::string("train.lora.") + name, *value);
    }
    if (const Json* seed = fields.find("seed")) set(config, "train.seed", *seed);
    if (config.is_given("train.lora.alpha")) config.train.lora.alpha_over_rank.reset();
    resolve_alpha(config.train.lora);
    if (fields.has("adapter")) {
      slot.adapter = load_peft_adapter(fields.text("adapter"), session.model.checkpoint.options);
      if (!config.is_given("train.lora.init")) config.train.lora.init = LoraInit::standard;
      if (!config.is_given("train.lora.dropout")) config.train.lora.dropout = slot.adapter->spec.dropout;
      adopt_adapter(config, slot.adapter->spec, session.model.checkpoint.options);
    }
    fields.done();
    check_lora(config);
    lora_slot(config.train, session.model.checkpoint.options);
  } catch (const Error& error) {
    throw in_words_of_open(error);
  }
  slot.config = config.train;
  return slot;
}

Json slot_json(const SlotState& slot) {
  const LoraConfig& lora = slot.config.lora;
  return {{"slot", slot.slot},       {"rank", lora.rank},
          {"alpha", lora.alpha},     {"targets", lora.targets},
          {"dropout", lora.dropout}, {"seed", slot.config.seed},
          {"steps", slot.steps},     {"pending_tokens", slot.pending_tokens}};
}

}  // namespace finetune
