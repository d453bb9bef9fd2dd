#include "config/fields.h"

#include <algorithm>

#include "config/search_fields.h"
#include "config/sections.h"
#include "config/source_fields.h"
#include "core/error.h"
#include "core/text.h"

namespace finetune {
namespace {

std::vector<std::string> keys_like(const std::string& key) {
  std::vector<std::string> keys;
  for (const auto& field : config_fields()) keys.push_back(field.key);
  for (const char* section :
       {"model", "data", "train", "train.lora", "search", "tune", "tune.budget", "tune.generate", "run", "study"})
    keys.emplace_back(section);
  // A bare name may be meant as the last part of a key: lr -> nothing, steps -> train.steps.
  if (key.find('.') == std::string::npos) {
    for (const auto& field : config_fields()) {
      if (field.key.ends_with("." + key)) return {field.key};
    }
  }
  return keys;
}

std::string nearest_key(const std::string& key) {
  const auto candidates = keys_like(key);
  if (candidates.size() == 1) return " (did you mean " + candidates.front() + "?)";
  // Compare within the section first: train.learning_rat must not find tune.something.
  const auto dot = key.rfind('.');
  if (dot != std::string::npos) {
    std::vector<std::string> siblings;
    for (const auto& candidate : candidates) {
      if (candidate.starts_with(key.substr(0, dot + 1))) siblings.push_back(candidate.substr(dot + 1));
    }
    const std::string near = nearest_name(key.substr(dot + 1), siblings);
    if (!near.empty()) return " (did you mean " + key.substr(0, dot + 1) + near + "?)";
  }
  return did_you_mean(key, candidates);
}

bool is_section(const std::string& key) {
  return std::any_of(config_fields().begin(), config_fields().end(),
                     [&](const Field& field) { return field.key.starts_with(key + "."); });
}

void set_section(RunConfig& config, const std::string& key, const ConfigNode& node) {
  if (node.kind == ConfigNode::Kind::null) return;
  if (node.kind != ConfigNode::Kind::map)
    throw bad_input("", key + " must be a map of keys, not " + node.text.substr(0, 80));
  for (const auto& [name, value] : node.entries) set_key(config, key + "." + name, value);
}

void set_known(RunConfig& config, const std::string& key, const ConfigNode& node) {
  for (const auto& field : config_fields()) {
    if (field.key != key) continue;
    field.set(config, node);
    config.given.push_back(key);
    return;
  }
  if (set_search_key(config, key, node) || set_tuner_part_key(config, key, node) || set_weight_key(config, key, node)) {
    config.given.push_back(key);
  } else if (is_section(key)) {
    set_section(config, key, node);
  } else {
    throw bad_input("", "unknown key " + key + nearest_key(key));
  }
}

}  // namespace

const std::vector<Field>& config_fields() {
  static const std::vector<Field> kFields = [] {
    std::vector<Field> all;
    for (auto list : {model_fields(), data_fields(), train_fields(), tune_fields(), run_fields(), study_fields()}) {
      all.insert(all.end(), list.begin(), list.end());
    }
    return all;
  }();
  return kFields;
}

bool is_text_key(const std::string& key) {
  const auto& fields = config_fields();
  return std::any_of(fields.begin(), fields.end(), [&](const Field& field) { return field.text && field.key == key; });
}

void set_key(RunConfig& config, const std::string& key, const ConfigNode& node) {
  try {
    set_known(config, key, node);
  } catch (const Error& error) {
    throw error.at(node.where);  // a nested key has its own, more exact place
  }
}

bool is_default(const RunConfig& config, const std::string& key) {
  const auto field = std::ranges::find_if(config_fields(), [&](const Field& one) { return one.key == key; });
  const auto node = field->get(config), usual = field->get(RunConfig{});
  return (node ? to_yaml(*node) : "") == (usual ? to_yaml(*usual) : "");
}

}  // namespace finetune
