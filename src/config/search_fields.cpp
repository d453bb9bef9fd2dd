#include "config/search_fields.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/number.h"
#include "core/text.h"

namespace finetune {
namespace {

double range_number(const std::string& key, const ConfigNode& node) {
  const bool number = node.kind == ConfigNode::Kind::scalar &&
                      (std::holds_alternative<double>(node.value) || std::holds_alternative<std::int64_t>(node.value));
  if (!number || !std::isfinite(as_number(node.value)))
    throw bad_input(node.where, key + " must be a finite number, not " + (node.text.empty() ? "empty" : node.text));
  return as_number(node.value);
}

bool range_flag(const std::string& key, const ConfigNode& node) {
  if (node.kind != ConfigNode::Kind::scalar || !std::holds_alternative<bool>(node.value)) {
    throw bad_input(node.where, key + " must be true or false");
  }
  return std::get<bool>(node.value);
}

std::vector<Value> scalar_list(const std::string& key, const ConfigNode& node) {
  std::vector<Value> values;
  const std::vector<ConfigNode> single{node};
  for (const auto& item : node.kind == ConfigNode::Kind::list ? node.items : single) {
    if (item.kind != ConfigNode::Kind::scalar) throw bad_input(node.where, key + " must be a list of single values");
    values.push_back(item.value);
  }
  if (values.empty()) throw bad_input(node.where, key + " is empty");
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto end = values.begin() + static_cast<std::ptrdiff_t>(i);
    if (std::any_of(values.begin(), end, [&](const Value& earlier) { return same_value(earlier, values[i]); })) {
      throw bad_input(node.where, key + " holds " + to_text(values[i]) + " twice");
    }
  }
  return values;
}

void read_when(SearchParameter& parameter, const std::string& key, const ConfigNode& node, const RunConfig& config) {
  if (node.kind != ConfigNode::Kind::map || node.entries.empty())
    throw bad_input(node.where, key + " must be a map: {other: [values]}");
  for (const auto& [other, values] : node.entries) {
    const bool earlier = std::any_of(config.search.begin(), config.search.end(),
                                     [&name = other](const SearchParameter& p) { return p.name == name; });
    if (!earlier)
      throw bad_input(node.where,
                      key + " names " + other + ", which is not a parameter listed before " + parameter.name);
    parameter.when.emplace_back(other, scalar_list(key + "." + other, values));
  }
}

void check_range(const SearchParameter& p, const std::string& key, const std::string& where) {
  if (p.low > p.high)
    throw bad_input(where, key + ": low " + number_to_text(p.low) + " is above high " + number_to_text(p.high));
  if (p.log && p.low <= 0) throw bad_input(where, key + ": low must be above 0 with log: true");
  if (p.step && *p.step <= 0) throw bad_input(where, key + ": step must be above 0");
  if (p.log && p.step && !p.integer)
    throw bad_input(where, key + ": log and step cannot be combined on a real parameter");
  if (p.integer &&
      (p.low != std::floor(p.low) || p.high != std::floor(p.high) || (p.step && *p.step != std::floor(*p.step)))) {
    throw bad_input(where, key + ": low, high and step must be whole numbers with int: true");
  }
  if (p.integer && (std::fabs(p.low) > 1e15 || std::fabs(p.high) > 1e15))
    throw bad_input(where, key + ": whole numbers up to 1e15 are possible");
}

bool is_ordinal(const std::string& key, const ConfigNode& node) {
  const std::vector<std::string> known{"categorical", "ordinal"};
  const std::string text = node.kind == ConfigNode::Kind::scalar ? node.text : "";
  if (std::find(known.begin(), known.end(), text) == known.end())
    throw bad_input(node.where, key + " is " + (text.empty() ? "no name" : text) + "; allowed: " + join(known, ", ") +
                                    did_you_mean(text, known));
  return text == "ordinal";
}

// Checked against the parameter where the tuner is made, as tune.enqueue is.
Value start_value(const std::string& key, const ConfigNode& node) {
  if (node.kind != ConfigNode::Kind::scalar) throw bad_input(node.where, key + " must be a single value");
  return node.value;
}

// Said apart from other unknown keys: people come from tuners that have them.
void refuse_constraint(const std::string& key, const std::string& name, const ConfigNode& node) {
  if (name != "constraint" && name != "constraints") return;
  throw bad_input(node.where, key +
                                  ": constraints between parameters are not supported; a parameter may depend on the "
                                  "values of an earlier one through when: {other: [values]}");
}

SearchParameter read_parameter(const RunConfig& config, const std::string& name, const ConfigNode& node) {
  const std::string key = "search." + name;
  SearchParameter parameter{.name = name};
  if (node.kind != ConfigNode::Kind::map) {
    refuse_constraint(key, name, node);
    throw bad_input(node.where, key + " must be a map: {low: 1e-5, high: 1e-3, log: true} or {choices: [8, 16]}");
  }
  bool low = false, high = false, type = false;
  for (const auto& [option, value] : node.entries) {
    const std::string full = key + "." + option;
    if (option == "choices")
      parameter.choices = scalar_list(full, value);
    else if (option == "type")
      parameter.ordinal = is_ordinal(full, value), type = true;
    else if (option == "low")
      parameter.low = range_number(full, value), low = true;
    else if (option == "high")
      parameter.high = range_number(full, value), high = true;
    else if (option == "step")
      parameter.step = range_number(full, value);
    else if (option == "log")
      parameter.log = range_flag(full, value);
    else if (option == "int")
      parameter.integer = range_flag(full, value);
    else if (option == "start")
      parameter.start = start_value(full, value);
    else if (option == "when")
      read_when(parameter, full, value, config);
    else {
      refuse_constraint(full, option, value);
      const std::vector<std::string> known{"choices", "type", "low", "high", "step", "log", "int", "start", "when"};
      throw bad_input(value.where, "unknown key " + full + did_you_mean(option, known));
    }
  }
  if (!parameter.choices.empty()) {
    if (low || high || parameter.step || parameter.log || parameter.integer)
      throw bad_input(node.where, key + " has choices and a range; use one of them");
    return parameter;
  }
  if (type) throw bad_input(node.where, key + ".type is for choices; a range has none");
  if (!low || !high) throw bad_input(node.where, key + " needs low and high, or choices");
  check_range(parameter, key, node.where);
  return parameter;
}

void add_parameter(RunConfig& config, const std::string& name, const ConfigNode& node) {
  SearchParameter parameter = read_parameter(config, name, node);
  for (auto& old : config.search) {
    if (old.name != name) continue;
    old = std::move(parameter);  // --set replaces what the file says
    return;
  }
  config.search.push_back(std::move(parameter));
}

TunerPart read_part(const std::string& key, const ConfigNode& node) {
  TunerPart part;
  if (node.kind == ConfigNode::Kind::scalar) {
    part.name = node.text;
    return part;
  }
  if (node.kind != ConfigNode::Kind::map) throw bad_input(node.where, key + " must be a name or {name: X, ...}");
  for (const auto& [option, value] : node.entries) {
    if (option == "name") {
      if (value.kind != ConfigNode::Kind::scalar) throw bad_input(value.where, key + ".name must be a name");
      part.name = value.text;
    } else if (value.kind == ConfigNode::Kind::scalar) {
      part.options.emplace_back(option, value.value);
    } else if (value.kind == ConfigNode::Kind::list) {
      std::vector<std::string> texts;  // names or numbers: handed on as one text, comma between
      for (const auto& item : value.items) {
        if (item.kind != ConfigNode::Kind::scalar)
          throw bad_input(value.where, key + "." + option + " must be a list of single values");
        texts.push_back(item.text);
      }
      part.options.emplace_back(option, join(texts, ","));
    } else {
      throw bad_input(value.where, key + "." + option + " must be a single value or a list");
    }
  }
  if (part.name.empty()) throw bad_input(node.where, key + " has no name");
  return part;
}

Params read_enqueued(const std::string& key, const ConfigNode& node) {
  if (node.kind != ConfigNode::Kind::map || node.entries.empty())
    throw bad_input(node.where, key + " must be a map of searched keys: {train.learning_rate: 3e-4}");
  Params params;
  for (const auto& [name, value] : node.entries) {
    if (value.kind != ConfigNode::Kind::scalar)
      throw bad_input(value.where, key + "." + name + " must be a single value");
    params.emplace_back(name, value.value);
  }
  return params;
}

ConfigNode map_node(const Params& params) {
  ConfigNode node;
  node.kind = ConfigNode::Kind::map;
  for (const auto& [name, value] : params) node.entries.emplace_back(name, ConfigNode::of(value));
  return node;
}

}  // namespace

bool set_search_key(RunConfig& config, const std::string& key, const ConfigNode& node) {
  if (key.starts_with("search.")) {
    add_parameter(config, key.substr(7), node);
    return true;
  }
  if (key != "search") return false;
  config.search.clear();
  if (node.kind == ConfigNode::Kind::null) return true;
  if (node.kind != ConfigNode::Kind::map) throw bad_input(node.where, "search must be a map of parameters");
  for (const auto& [name, value] : node.entries) add_parameter(config, name, value);
  return true;
}

bool set_tuner_part_key(RunConfig& config, const std::string& key, const ConfigNode& node) {
  for (const auto& [prefix, part] :
       {std::pair<std::string, std::optional<TunerPart>*>{"tune.sampler.", &config.tune.sampler},
        {"tune.scheduler.", &config.tune.scheduler}}) {
    if (!key.starts_with(prefix)) continue;
    if (!*part) *part = TunerPart{};
    const std::string option = key.substr(prefix.size());
    if (node.kind != ConfigNode::Kind::scalar) throw bad_input(node.where, key + " must be a single value");
    if (option == "name") {
      if ((*part)->name != node.text) (*part)->options.clear();  // another one's options do not carry over
      (*part)->name = node.text;
    } else {
      set_param((*part)->options, option, node.value);
    }
    return true;
  }
  return false;
}

Field tuner_part_field(const std::string& key, const std::string& help,
                       const std::function<std::optional<TunerPart>&(RunConfig&)>& at) {
  return {key, help,
          [=](RunConfig& c, const ConfigNode& n) {
            if (n.kind == ConfigNode::Kind::null)
              at(c).reset();
            else
              at(c) = read_part(key, n);
          },
          [=](const RunConfig& c) -> std::optional<ConfigNode> {
            const auto& part = at(const_cast<RunConfig&>(c));
            if (!part) return std::nullopt;
            ConfigNode node;
            node.kind = ConfigNode::Kind::map;
            node.entries.emplace_back("name", ConfigNode::of(part->name));
            for (const auto& [option, value] : part->options) node.entries.emplace_back(option, ConfigNode::of(value));
            return node;
          }};
}

// The values are checked against the space where the sampler is made: either may still be set after the other.
Field enqueue_field() {
  return {
      "tune.enqueue", "trials to begin with: [{train.learning_rate: 3e-4}, ...]",
      [](RunConfig& c, const ConfigNode& n) {
        c.tune.enqueue.clear();
        if (n.kind == ConfigNode::Kind::null) return;
        if (n.kind != ConfigNode::Kind::list) throw bad_input(n.where, "tune.enqueue must be a list of maps");
        for (const auto& item : n.items)
          c.tune.enqueue.push_back(read_enqueued("tune.enqueue[" + std::to_string(c.tune.enqueue.size()) + "]", item));
      },
      [](const RunConfig& c) -> std::optional<ConfigNode> {
        if (c.tune.enqueue.empty()) return std::nullopt;
        ConfigNode list;
        list.kind = ConfigNode::Kind::list;
        for (const Params& params : c.tune.enqueue) list.items.push_back(map_node(params));
        return list;
      }};
}

ConfigNode search_node(const std::vector<SearchParameter>& search) {
  ConfigNode all;
  all.kind = ConfigNode::Kind::map;
  const auto list = [](const std::vector<Value>& values) {
    ConfigNode node;
    node.kind = ConfigNode::Kind::list;
    for (const auto& value : values) node.items.push_back(ConfigNode::of(value));
    return node;
  };
  for (const auto& parameter : search) {
    ConfigNode node;
    node.kind = ConfigNode::Kind::map;
    if (!parameter.choices.empty()) {
      if (parameter.ordinal) node.entries.emplace_back("type", ConfigNode::of(std::string("ordinal")));
      node.entries.emplace_back("choices", list(parameter.choices));
    } else {
      node.entries.emplace_back("low", ConfigNode::of(parameter.low));
      node.entries.emplace_back("high", ConfigNode::of(parameter.high));
      if (parameter.step) node.entries.emplace_back("step", ConfigNode::of(*parameter.step));
      if (parameter.log) node.entries.emplace_back("log", ConfigNode::of(true));
      if (parameter.integer) node.entries.emplace_back("int", ConfigNode::of(true));
    }
    if (parameter.start) node.entries.emplace_back("start", ConfigNode::of(*parameter.start));
    if (!parameter.when.empty()) {
      ConfigNode when;
      when.kind = ConfigNode::Kind::map;
      for (const auto& [other, values] : parameter.when) when.entries.emplace_back(other, list(values));
      node.entries.emplace_back("when", std::move(when));
    }
    all.entries.emplace_back(parameter.name, std::move(node));
  }
  return all;
}

}  // namespace finetune
