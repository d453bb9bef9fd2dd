#include "config/source_fields.h"

#include <algorithm>
#include <cctype>
#include <filesystem>

#include "config/params.h"
#include "config/values.h"
#include "core/error.h"
#include "core/text.h"

namespace finetune {
namespace {

constexpr const char* kWeights = "data.weights.";
constexpr Range kAboveZero{.low = 0, .open_low = true};

// Names end up in keys, files and curves (valid_loss.NAME).
void check_name(const std::string& key, const std::string& name) {
  const auto allowed = [](unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c == '-' || c >= 0x80; };
  if (name.empty() || !std::ranges::all_of(name, allowed))
    throw bad_input("", key + " is \"" + name + "\"; letters, digits, _ and - are possible");
}

std::string name_by(const std::string& path) {
  const std::filesystem::path place(path);
  std::string name = (place.has_filename() ? place : place.parent_path()).stem().string();
  for (char& c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '-' && static_cast<unsigned char>(c) < 0x80) c = '_';
  }
  return name;
}

DataSource read_source(const std::string& key, const ConfigNode& node, bool weighted) {
  const std::string shape = weighted ? "a path, or {path, weight, name}" : "a path, or {path, name}";
  if (node.kind == ConfigNode::Kind::scalar) return {.path = text_of(key, node)};
  if (node.kind != ConfigNode::Kind::map) wrong(key, shape, node);
  DataSource source;
  for (const auto& [name, value] : node.entries) {
    const std::string full = key + "." + name;
    if (name == "path") {
      source.path = text_of(full, value);
    } else if (name == "name") {
      source.name = text_of(full, value);
      check_name(full, source.name);
    } else if (name == "weight" && weighted) {
      source.weight = number_of(full, value, kAboveZero);
    } else {
      const std::vector<std::string> known{"path", "name", "weight"};
      throw bad_input(value.where, (name == "weight" ? full + " has no meaning: only entries of data.train have weights"
                                                     : "unknown key " + full + did_you_mean(name, known)));
    }
  }
  if (source.path.empty()) throw bad_input("", key + " has no path; it is " + shape);
  if (source.name.empty()) source.name = name_by(source.path);
  return source;
}

ConfigNode source_node(const DataSource& source) {
  if (source.name.empty()) return ConfigNode::of(source.path);
  ConfigNode node;
  node.kind = ConfigNode::Kind::map;
  node.entries.emplace_back("path", ConfigNode::of(source.path));
  node.entries.emplace_back("name", ConfigNode::of(source.name));
  if (source.weight) node.entries.emplace_back("weight", ConfigNode::of(*source.weight));
  return node;
}

void check_names(const std::string& key, const std::vector<DataSource>& sources) {
  for (std::size_t i = 0; i < sources.size(); ++i) {
    const auto end = sources.begin() + static_cast<std::ptrdiff_t>(i);
    if (!sources[i].name.empty() && std::find_if(sources.begin(), end, [&](const DataSource& other) {
                                      return other.name == sources[i].name;
                                    }) != end)
      throw bad_input("", key + ": two entries have the name " + sources[i].name + "; give them names of their own");
  }
}

void check_known(const RunConfig& config, const std::string& key, const std::string& name) {
  std::vector<std::string> names;
  for (const DataSource& source : config.data.train) {
    if (!source.name.empty()) names.push_back(source.name);
  }
  if (std::ranges::count(names, name) > 0) return;
  throw bad_input("", key + ": no entry of data.train has this name" +
                          (names.empty() ? "; give entries as {path, name}"
                                         : did_you_mean(name, names) + "; their names: " + join(names, ", ")));
}

double weight_of(const DataConfig& data, const DataSource& source) {
  const auto named = data.weights.find(source.name);
  return named != data.weights.end() ? named->second : source.weight.value_or(1);
}

}  // namespace

Field sources_field(const std::string& key, const std::string& help, bool weighted,
                    const std::function<std::vector<DataSource>&(RunConfig&)>& at) {
  return {key, help,
          [=](RunConfig& c, const ConfigNode& n) {
            std::vector<DataSource> sources;
            if (n.kind == ConfigNode::Kind::list) {
              for (const auto& item : n.items)
                sources.push_back(read_source(key + "[" + std::to_string(sources.size()) + "]", item, weighted));
            } else {
              sources.push_back(read_source(key, n, weighted));
            }
            at(c) = std::move(sources);
          },
          [=](const RunConfig& c) -> std::optional<ConfigNode> {
            const std::vector<DataSource>& sources = at(const_cast<RunConfig&>(c));
            if (sources.empty()) return std::nullopt;
            if (sources.size() == 1 && sources.front().name.empty()) return ConfigNode::of(sources.front().path);
            ConfigNode list;
            list.kind = ConfigNode::Kind::list;
            for (const DataSource& source : sources) list.items.push_back(source_node(source));
            return list;
          }};
}

Field weights_field() {
  return {
      "data.weights",
      "weights of entries of data.train, by name: {code: 2}; data.weights.NAME may be searched. An epoch is as many "
      "draws as there are examples, whatever the weights",
      [](RunConfig& c, const ConfigNode& n) {
        c.data.weights.clear();
        if (n.kind == ConfigNode::Kind::null) return;
        if (n.kind != ConfigNode::Kind::map) wrong("data.weights", "a map of weights by name", n);
        for (const auto& [name, value] : n.entries) set_weight_key(c, kWeights + name, value);
      },
      [](const RunConfig& c) -> std::optional<ConfigNode> {
        if (c.data.weights.empty()) return std::nullopt;
        ConfigNode node;
        node.kind = ConfigNode::Kind::map;
        for (const auto& [name, weight] : c.data.weights) node.entries.emplace_back(name, ConfigNode::of(weight));
        return node;
      }};
}

bool set_weight_key(RunConfig& config, const std::string& key, const ConfigNode& node) {
  if (!key.starts_with(kWeights)) return false;
  config.data.weights[key.substr(std::string(kWeights).size())] = number_of(key, node, kAboveZero);
  return true;
}

bool is_mixture(const RunConfig& config) {
  const auto has_weight = [](const DataSource& source) { return source.weight.has_value(); };
  const auto is_weight = [](const SearchParameter& parameter) { return parameter.name.starts_with(kWeights); };
  return !config.data.weights.empty() || std::ranges::any_of(config.data.train, has_weight) ||
         std::ranges::any_of(config.search, is_weight);
}

void resolve_shares(RunConfig& config) {
  std::vector<double>& shares = config.train.shares;
  shares.clear();
  if (!is_mixture(config)) return;
  double sum = 0;
  for (const DataSource& source : config.data.train) sum += shares.emplace_back(weight_of(config.data, source));
  for (double& share : shares) share /= sum;
}

std::map<std::string, double> weights_by_name(const RunConfig& config) {
  std::map<std::string, double> weights;
  for (const DataSource& source : config.data.train) {
    if (!source.name.empty()) weights[source.name] = weight_of(config.data, source);
  }
  return weights;
}

void check_sources(const RunConfig& config) {
  check_names("data.train", config.data.train);
  check_names("data.valid", config.data.valid);
  for (const auto& [name, weight] : config.data.weights) check_known(config, kWeights + name, name);
  for (const auto& parameter : config.search) {
    if (parameter.name.starts_with(kWeights))
      check_known(config, "search." + parameter.name, parameter.name.substr(std::string(kWeights).size()));
  }
}

}  // namespace finetune
