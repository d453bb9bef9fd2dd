#include "config/config.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "config/fields.h"
#include "config/lora_rules.h"
#include "config/metric_rules.h"
#include "config/objective_rules.h"
#include "config/params.h"
#include "config/search_fields.h"
#include "config/source_fields.h"
#include "core/error.h"
#include "core/files.h"
#include "core/metric.h"
#include "core/text.h"
#include "core/usual_rates.h"

namespace finetune {
namespace {

// Both ends and all choices of a searched key must be values that the key allows.
void check_search_parameter(const RunConfig& config, const SearchParameter& parameter) {
  const std::string key = "search." + parameter.name;
  if (!parameter.name.starts_with("train.") && !parameter.name.starts_with("data.weights.")) {
    std::vector<std::string> keys;
    for (const auto& field : config_fields()) {
      if (field.key.starts_with("train.")) keys.push_back(field.key);
    }
    throw bad_input(
        "", key + ": only keys of train can be searched, and data.weights.NAME" + did_you_mean(parameter.name, keys));
  }
  for (const char* fixed : {"train.method", "train.objective", "train.steps", "train.epochs", "train.stop_at",
                            "train.changes", "train.patience"}) {
    if (parameter.name == fixed)
      throw bad_input("", key + ": " + parameter.name + " is the same for all trials and cannot be searched");
  }
  std::vector<Value> values = parameter.choices;
  if (values.empty()) {
    for (const double end : {parameter.low, parameter.high}) {
      if (parameter.integer)
        values.emplace_back(static_cast<std::int64_t>(end));
      else
        values.emplace_back(end);
    }
  }
  RunConfig trial = config;
  try {
    for (const auto& value : values) set_key(trial, parameter.name, ConfigNode::of(value));
  } catch (const Error& error) {
    throw bad_input("", key + ": " + error.what());
  }
  // A whole-number key takes a range only as whole numbers.
  RunConfig defaults;
  for (const auto& field : config_fields()) {
    if (field.key != parameter.name || !parameter.choices.empty()) continue;
    const auto node = field.get(defaults);
    const bool whole =
        node && node->kind == ConfigNode::Kind::scalar && std::holds_alternative<std::int64_t>(node->value);
    const bool number =
        whole || !node || (node->kind == ConfigNode::Kind::scalar && std::holds_alternative<double>(node->value));
    if (!number) throw bad_input("", key + " is not a number; give choices instead of a range");
    if (whole && !parameter.integer) throw bad_input("", key + " holds whole numbers; add int: true");
  }
}

}  // namespace

bool RunConfig::is_given(const std::string& key) const {
  return std::find(given.begin(), given.end(), key) != given.end();
}

std::vector<std::string> paths_of(const std::vector<DataSource>& sources) {
  std::vector<std::string> paths;
  for (const DataSource& source : sources) paths.push_back(source.path);
  return paths;
}

static void set_keys(RunConfig& config, const std::string& where, const ConfigNode& root) {
  if (root.kind == ConfigNode::Kind::map) {
    for (const auto& [key, node] : root.entries) set_key(config, key, node);
  } else if (root.kind != ConfigNode::Kind::null) {
    throw bad_input(where, "must be a map of keys");
  }
}

RunConfig load_config(const ConfigSources& sources) {
  RunConfig config;
  if (!sources.file.empty())
    set_keys(config, sources.file, parse_config(sources.file, read_file(sources.file, 16 << 20)));
  if (!sources.text.empty()) {
    ConfigNode root = parse_config("the configuration", sources.text);
    forget_places(root);  // the key is place enough
    set_keys(config, "the configuration", root);
  }
  for (const auto& [key, texts] : sources.lists) {
    ConfigNode node;
    node.kind = ConfigNode::Kind::list;
    for (const auto& text : texts) node.items.push_back(ConfigNode::of(text));
    set_key(config, key, node);
  }
  for (const auto& [key, text] : sources.settings) {
    ConfigNode node;
    // A path, name or pattern stays the text it is; only what begins with quotes, or for other keys a flow collection,
    // is read as YAML.
    const std::string opening = is_text_key(key) ? "\"'" : "[{\"'";
    const bool structured = !text.empty() && opening.find(text.front()) != std::string::npos;
    if (structured) {
      node = parse_config("--set " + key, "value: " + text);
      node =
          node.kind == ConfigNode::Kind::map && node.entries.size() == 1 ? node.entries.front().second : ConfigNode{};
    } else if (const auto value = resolve_scalar(text)) {
      node = ConfigNode::of(*value);
      node.text = text;
    }
    node.where.clear();  // the key is place enough
    set_key(config, key, node);
  }
  if (config.train.lora.alpha_over_rank && config.is_given("train.lora.alpha")) {
    throw bad_input(sources.file, "train.lora.alpha and train.lora.alpha_over_rank are both given; use one");
  }
  resolve_alpha(config.train.lora);
  resolve_shares(config);
  if (!config.is_given("train.learning_rate"))
    config.train.learning_rate = usual_rates(config.train.full(), config.train.objective != ObjectiveName::sft).one;
  if (!config.is_given("tune.direction")) config.tune.direction = metric_named(config.tune.metric).direction;
  return config;
}

static void check_quantize(const RunConfig& config) {
  if (config.model.double_quantize && config.model.quantize != Quantize::nf4)
    throw bad_input("", "model.double_quantize needs model.quantize: nf4, whose blocks have scales");
  if (config.model.quantize != Quantize::none && config.train.full())
    throw bad_input("", std::string("model.quantize: ") + to_text(config.model.quantize) +
                            " freezes the base, which train.method: full trains; use one");
}

void validate(const RunConfig& config, bool asktell) {
  if (config.is_given("train.steps") && config.train.epochs)
    throw bad_input("", "train.steps and train.epochs are both given; use one");
  if (config.tune.method && (config.tune.sampler || config.tune.scheduler)) {
    throw bad_input("",
                    "tune.method stands for sampler and scheduler; give either it or tune.sampler and tune.scheduler");
  }
  if (config.train.stop_at && *config.train.stop_at > config.train.steps && !config.train.epochs) {
    throw bad_input("", "train.stop_at is " + std::to_string(*config.train.stop_at) +
                            ", above train.steps = " + std::to_string(config.train.steps));
  }
  check_quantize(config);
  if (config.data.completion && !config.data.prompt) throw bad_input("", "data.completion needs data.prompt");
  if (!config.data.valid.empty() && config.data.valid_fraction_given && config.data.valid_fraction > 0) {
    throw bad_input("", "data.valid and data.valid_fraction are both given; use one");
  }
  if (asktell) return;
  check_sources(config);
  check_metrics(config);
  check_lora(config);
  check_objective(config);
  for (const auto& parameter : config.search) check_search_parameter(config, parameter);
  for (const auto& parameter : config.search) {
    if (config.train.full() && parameter.name.starts_with("train.lora.")) {
      throw bad_input("", "search." + parameter.name + " has no meaning with train.method: full");
    }
  }
}

std::string to_yaml(const RunConfig& config) {
  ConfigNode root;
  root.kind = ConfigNode::Kind::map;
  const auto child = [](ConfigNode& parent, const std::string& name) -> ConfigNode& {
    for (auto& [key, node] : parent.entries) {
      if (key == name) return node;
    }
    parent.entries.emplace_back(name, ConfigNode{});
    parent.entries.back().second.kind = ConfigNode::Kind::map;
    return parent.entries.back().second;
  };
  for (const auto& field : config_fields()) {
    // Which of alpha and alpha_over_rank was given is kept; of steps and epochs too.
    if (field.key == "train.lora.alpha" && config.train.lora.alpha_over_rank) continue;
    if (field.key == "train.steps" && config.train.epochs) continue;
    if (field.key == "tune.steps" && config.tune.steps == 1) continue;
    const auto node = field.get(config);
    if (!node) continue;
    if (field.key == "tune.trials" && !config.search.empty()) child(root, "search") = search_node(config.search);
    ConfigNode* parent = &root;
    const auto parts = split(field.key, '.');
    for (std::size_t i = 0; i + 1 < parts.size(); ++i) parent = &child(*parent, parts[i]);
    parent->entries.emplace_back(parts.back(), *node);
  }
  return to_yaml(root);
}

void resolve_alpha(LoraConfig& lora) {
  if (lora.alpha_over_rank) lora.alpha = *lora.alpha_over_rank * static_cast<double>(lora.rank);
}

void apply_params(RunConfig& config, const Params& params) {
  for (const auto& [name, value] : params) {
    if (name == "train.lora.alpha") config.train.lora.alpha_over_rank.reset();
    set_key(config, name, ConfigNode::of(value));
  }
  resolve_alpha(config.train.lora);
  resolve_shares(config);
}

TrainConfig configure_trial(const RunConfig& config, const Params& params) {
  RunConfig trial = config;
  apply_params(trial, params);
  return trial.train;
}

Params searched_defaults(const RunConfig& config) {
  Params params;
  for (const auto& parameter : config.search) {
    for (const auto& field : config_fields()) {
      if (field.key != parameter.name) continue;
      const auto node = field.get(config);
      if (node && node->kind == ConfigNode::Kind::scalar) params.emplace_back(parameter.name, node->value);
    }
    for (const auto& [name, weight] : weights_by_name(config)) {
      if (parameter.name == "data.weights." + name) params.emplace_back(parameter.name, weight);
    }
  }
  return params;
}

bool may_change_during_training(const std::string& key) {
  constexpr std::array kChangeable = {
      "train.learning_rate", "train.weight_decay", "train.beta1",        "train.beta2",       "train.epsilon",
      "train.max_grad_norm", "train.lora.dropout", "train.warmup_ratio", "train.decay_ratio", "train.schedule"};
  return std::find(kChangeable.begin(), kChangeable.end(), key) != kChangeable.end();
}

}  // namespace finetune
