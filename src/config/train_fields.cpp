#include "config/field_makers.h"
#include "config/sections.h"

namespace finetune {
namespace {

Field targets_field() {
  return list_field("train.lora.targets",
                    "all-linear, attention, mlp, projection names, or re: and a pattern of whole module paths",
                    FINETUNE_AT(train.lora.targets));
}

// Of module paths: the first pattern that matches one holds. `read` makes the value of a node.
template <typename At, typename Read>
Field pattern_field(const std::string& key, const std::string& help, At at, Read read) {
  return {key, help,
          [=](RunConfig& c, const ConfigNode& n) {
            at(c).clear();
            if (n.kind == ConfigNode::Kind::null) return;
            if (n.kind != ConfigNode::Kind::map) wrong(key, "a map of patterns: {\"layers.0.self_attn.q_proj\": 8}", n);
            for (const auto& [pattern, value] : n.entries)
              at(c).emplace_back(pattern, read(key + "." + pattern, value));
          },
          [=](const RunConfig& c) -> std::optional<ConfigNode> {
            const auto& patterns = at(const_cast<RunConfig&>(c));
            if (patterns.empty()) return std::nullopt;
            ConfigNode node;
            node.kind = ConfigNode::Kind::map;
            for (const auto& [pattern, value] : patterns) node.entries.emplace_back(pattern, ConfigNode::of(value));
            return node;
          }};
}

Field rank_pattern_field() {
  return pattern_field("train.lora.rank_pattern",
                       "ranks of modules that have one of their own: {PATTERN: rank}, as PEFT's rank_pattern",
                       FINETUNE_AT(train.lora.rank_pattern),
                       [](const std::string& key, const ConfigNode& node) { return whole_of(key, node, 1, 65536); });
}

Field alpha_pattern_field() {
  return pattern_field("train.lora.alpha_pattern", "the same for alpha", FINETUNE_AT(train.lora.alpha_pattern),
                       [](const std::string& key, const ConfigNode& node) { return number_of(key, node, {}); });
}

Field saved_field() {
  const std::string key = "train.lora.modules_to_save";
  Field field = list_field(key, "trained whole beside the adapters: embed_tokens, lm_head, or none",
                           FINETUNE_AT(train.lora.modules_to_save));
  field.set = [=, set = field.set](RunConfig& c, const ConfigNode& n) {
    set(c, n);
    std::vector<std::string>& names = c.train.lora.modules_to_save;
    if (names == std::vector<std::string>{"none"}) names.clear();
    const std::vector<std::string> known{"embed_tokens", "lm_head"};
    for (const std::string& name : names) {
      if (std::ranges::find(known, name) == known.end())
        throw bad_input("", key + " names " + name + "; allowed: " + join(known, ", ") + did_you_mean(name, known));
    }
  };
  return field;
}

// A hyperparameter schedule that a population found: [{step: 20, learning_rate: 1e-3}, ...].
Field changes_field() {
  return {"train.changes", "hyperparameters that change after a step: [{step: 20, learning_rate: 1e-3}]",
          [](RunConfig& c, const ConfigNode& n) {
            if (n.kind != ConfigNode::Kind::list) wrong("train.changes", "a list of maps with a step", n);
            c.train.changes.clear();
            for (const auto& item : n.items) {
              const ConfigNode* step = item.kind == ConfigNode::Kind::map ? item.find("step") : nullptr;
              if (step == nullptr) wrong("train.changes", "a list of maps with a step", item);
              HyperparameterChange change{.step = whole_of("train.changes.step", *step, 0, kMany)};
              if (!c.train.changes.empty() && change.step < c.train.changes.back().step) {
                throw bad_input("", "train.changes must be in order of their steps");
              }
              for (const auto& [name, value] : item.entries) {
                if (name == "step") continue;
                if (value.kind != ConfigNode::Kind::scalar) wrong("train.changes." + name, "a single value", value);
                RunConfig trial;
                set_key(trial, "train." + name, value);  // checks key and value
                change.params.emplace_back("train." + name, value.value);
              }
              c.train.changes.push_back(std::move(change));
            }
          },
          [](const RunConfig& c) -> std::optional<ConfigNode> {
            if (c.train.changes.empty()) return std::nullopt;
            ConfigNode list;
            list.kind = ConfigNode::Kind::list;
            for (const auto& change : c.train.changes) {
              ConfigNode item;
              item.kind = ConfigNode::Kind::map;
              item.entries.emplace_back("step", ConfigNode::of(change.step));
              for (const auto& [name, value] : change.params) {
                item.entries.emplace_back(name.starts_with("train.") ? name.substr(6) : name, ConfigNode::of(value));
              }
              list.items.push_back(std::move(item));
            }
            return list;
          }};
}

}  // namespace

std::vector<Field> train_fields() {
  const Range share{.low = 0, .high = 1}, positive{.low = 0, .open_low = true};
  const Range below_one{.low = 0, .high = 1, .open_high = true};
  return {
      choice_field<TrainMethod>("train.method", "what is trained", FINETUNE_AT(train.method)),
      choice_field<ObjectiveName>("train.objective", "what is minimised; all but sft learn from preferences",
                                  FINETUNE_AT(train.objective)),
      number_field("train.beta", "dpo, orpo, kto, simpo: scale of what an answer gains, as TRL's beta",
                   FINETUNE_AT(train.beta), positive),
      number_field("train.gamma", "simpo: margin that a chosen answer should have", FINETUNE_AT(train.gamma),
                   {.low = 0}),
      whole_field("train.steps", "optimizer steps of a full-budget trial", FINETUNE_AT(train.steps), 1),
      optional_number_field("train.epochs",
                            "passes over the data, instead of steps; with data.weights: as many draws as that",
                            FINETUNE_AT(train.epochs), positive),
      optional_whole_field("train.stop_at", "stop after this step; the schedule still spans train.steps",
                           FINETUNE_AT(train.stop_at), 1, ""),
      whole_field("train.batch_size", "examples per optimizer step", FINETUNE_AT(train.batch_size), 1, 1 << 24),
      number_field("train.learning_rate",
                   "peak learning rate; a tenth with train.method: full, and with objectives of preferences",
                   FINETUNE_AT(train.learning_rate), positive),
      choice_field<RateSchedule>("train.schedule", "learning-rate schedule", FINETUNE_AT(train.schedule)),
      number_field("train.warmup_ratio", "share of the steps to warm up", FINETUNE_AT(train.warmup_ratio), share),
      number_field("train.decay_ratio", "wsd: last share of the steps, linear to 0", FINETUNE_AT(train.decay_ratio),
                   share),
      number_field("train.weight_decay", "decoupled weight decay", FINETUNE_AT(train.weight_decay), {.low = 0}),
      number_field("train.beta1", "AdamW first moment", FINETUNE_AT(train.beta1), below_one),
      number_field("train.beta2", "AdamW second moment", FINETUNE_AT(train.beta2), below_one),
      number_field("train.epsilon", "AdamW epsilon", FINETUNE_AT(train.epsilon), {.low = 0}),
      number_field("train.max_grad_norm", "clip the gradient norm at this; 0 = off", FINETUNE_AT(train.max_grad_norm),
                   {.low = 0}),
      whole_field("train.seed", "init, order and dropout", FINETUNE_AT(train.seed), 0),
      whole_field("train.patience", "verb train: stop after N evaluations without improvement, keep the best; 0 = off",
                  FINETUNE_AT(train.patience), 0),
      whole_field("train.lora.rank", "rank of the adapter", FINETUNE_AT(train.lora.rank), 1, 65536),
      number_field("train.lora.alpha", "scale is alpha / rank", FINETUNE_AT(train.lora.alpha), {}),
      number_field("train.lora.dropout", "on the adapter's input", FINETUNE_AT(train.lora.dropout), below_one),
      targets_field(),
      flag_field("train.lora.rslora", "scale is alpha / sqrt(rank)", FINETUNE_AT(train.lora.rslora)),
      flag_field("train.lora.dora", "DoRA: a trained magnitude for each output", FINETUNE_AT(train.lora.dora)),
      choice_field<LoraInit>("train.lora.init", "pissa: begins as the principal part of the weight",
                             FINETUNE_AT(train.lora.init)),
      rank_pattern_field(),
      alpha_pattern_field(),
      saved_field(),
      number_field("train.lora.rate_ratio", "LoRA+: the learning rate of B is this times that of A",
                   FINETUNE_AT(train.lora.rate_ratio), positive),
      number_field("train.neftune",
                   "NEFTune: noise on the embeddings while training, this over sqrt(tokens x width); 0 = none",
                   FINETUNE_AT(train.neftune), {.low = 0}),
      optional_number_field("train.lora.alpha_over_rank", "instead of alpha: alpha = value x rank",
                            FINETUNE_AT(train.lora.alpha_over_rank), {}),
      changes_field()};
}

}  // namespace finetune
