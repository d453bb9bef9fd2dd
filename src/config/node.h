// A configuration file as a tree, before anything is known about its keys: YAML 1.2 with core-schema scalars, or JSON
// where the first character is '{'.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/value.h"

namespace finetune {

struct ConfigNode {
  enum class Kind { null, scalar, list, map };
  Kind kind = Kind::null;
  Value value;                                              ///< scalar, already resolved: 3e-4 a number, "8" a string
  std::string text;                                         ///< scalar as written
  std::vector<ConfigNode> items;                            ///< list
  std::vector<std::pair<std::string, ConfigNode>> entries;  ///< map, in order; keys are unique
  std::string where;                                        ///< "run.yaml:3" or "--set"

  // Defined where the type is complete: clang 14 needs that for a pair that holds the type itself.
  ConfigNode();
  ConfigNode(const ConfigNode&);
  ConfigNode(ConfigNode&&) noexcept;
  ConfigNode& operator=(const ConfigNode&);
  ConfigNode& operator=(ConfigNode&&) noexcept;
  ~ConfigNode();

  static ConfigNode of(Value value, std::string where = "");
  const ConfigNode* find(const std::string& key) const;
};

/// Reads `text` as YAML or JSON. Throws Error (bad_input) with file:line for bad syntax, repeated keys, aliases and
/// nesting deeper than 32.
ConfigNode parse_config(const std::string& file, const std::string& text);

/// Clears `where` of a node and of everything in it.
void forget_places(ConfigNode& node);

/// YAML 1.2 core schema (chapter 10.3.2) of a plain scalar; nothing for null.
std::optional<Value> resolve_scalar(const std::string& text);

/// A node as YAML: flow style inside lists of scalars and small maps. Reading it gives the same node.
std::string to_yaml(const ConfigNode& node, int indent = 0);

}  // namespace finetune
