// Makers of fields: one for each kind of value a key can have. `at` gives the member of a RunConfig; FINETUNE_AT writes
// it.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "config/fields.h"
#include "config/values.h"
#include "core/error.h"
#include "core/text.h"

// Member access without repeating const and non-const.
#define FINETUNE_AT(member)    \
  [](RunConfig & c) -> auto& { \
    return c.member;           \
  }

namespace finetune {

template <typename At>
Field text_field(const std::string& key, const std::string& help, At at, std::vector<std::string> allowed = {}) {
  return {key, help + (allowed.empty() ? "" : ": " + join(allowed, "|")),
          [=](RunConfig& c, const ConfigNode& n) {
            const std::string text = text_of(key, n);
            if (!allowed.empty() && std::find(allowed.begin(), allowed.end(), text) == allowed.end()) {
              throw bad_input("",
                              key + " is " + text + "; allowed: " + join(allowed, ", ") + did_you_mean(text, allowed));
            }
            at(c) = text;
          },
          [=](const RunConfig& c) { return ConfigNode::of(at(const_cast<RunConfig&>(c))); }, allowed.empty()};
}

template <typename Enum, typename At>
Field choice_field(const std::string& key, const std::string& help, At at) {
  return {key, help + ": " + join(choice_names<Enum>(), "|"),
          [=](RunConfig& c, const ConfigNode& n) { at(c) = choice_from<Enum>(key, text_of(key, n)); },
          [=](const RunConfig& c) { return ConfigNode::of(std::string(to_text(at(const_cast<RunConfig&>(c))))); }};
}

template <typename At>
Field optional_text_field(const std::string& key, const std::string& help, At at) {
  return {key, help,
          [=](RunConfig& c, const ConfigNode& n) {
            if (n.kind == ConfigNode::Kind::null)
              at(c).reset();
            else
              at(c) = text_of(key, n);
          },
          [=](const RunConfig& c) -> std::optional<ConfigNode> {
            const auto& value = at(const_cast<RunConfig&>(c));
            if (!value) return std::nullopt;
            return ConfigNode::of(*value);
          },
          true};
}

// One of some words, or null for none of them.
template <typename At>
Field optional_choice_field(const std::string& key, const std::string& help, At at, std::vector<std::string> allowed) {
  Field field = optional_text_field(key, help + ": " + join(allowed, "|"), at);
  field.set = [=, set = field.set](RunConfig& c, const ConfigNode& n) {
    set(c, n);
    const std::optional<std::string>& text = at(c);
    if (!text || std::find(allowed.begin(), allowed.end(), *text) != allowed.end()) return;
    throw bad_input("", key + " is " + *text + "; allowed: " + join(allowed, ", ") + did_you_mean(*text, allowed));
  };
  return field;
}

template <typename At>
Field number_field(const std::string& key, const std::string& help, At at, Range range) {
  return {key, help, [=](RunConfig& c, const ConfigNode& n) { at(c) = number_of(key, n, range); },
          [=](const RunConfig& c) { return ConfigNode::of(at(const_cast<RunConfig&>(c))); }};
}

template <typename At>
Field optional_number_field(const std::string& key, const std::string& help, At at, Range range) {
  return {key, help,
          [=](RunConfig& c, const ConfigNode& n) {
            if (n.kind == ConfigNode::Kind::null)
              at(c).reset();
            else
              at(c) = number_of(key, n, range);
          },
          [=](const RunConfig& c) -> std::optional<ConfigNode> {
            const auto& value = at(const_cast<RunConfig&>(c));
            if (!value) return std::nullopt;
            return ConfigNode::of(*value);
          }};
}

template <typename At>
Field whole_field(const std::string& key, const std::string& help, At at, std::int64_t low, std::int64_t high = kMany) {
  return {key, help, [=](RunConfig& c, const ConfigNode& n) { at(c) = whole_of(key, n, low, high); },
          [=](const RunConfig& c) { return ConfigNode::of(at(const_cast<RunConfig&>(c))); }};
}

// A whole number, or the word that stands for its absence (auto, or null).
template <typename At>
Field optional_whole_field(const std::string& key, const std::string& help, At at, std::int64_t low,
                           const std::string& word) {
  return {key, help,
          [=](RunConfig& c, const ConfigNode& n) {
            if (n.kind == ConfigNode::Kind::null || n.text == word)
              at(c).reset();
            else
              at(c) = whole_of(key, n, low, kMany, word);
          },
          [=](const RunConfig& c) -> std::optional<ConfigNode> {
            const auto& value = at(const_cast<RunConfig&>(c));
            if (value) return ConfigNode::of(*value);
            if (word.empty()) return std::nullopt;
            return ConfigNode::of(word);
          }};
}

template <typename At>
Field flag_field(const std::string& key, const std::string& help, At at) {
  return {key, help,
          [=](RunConfig& c, const ConfigNode& n) {
            if (n.kind != ConfigNode::Kind::scalar || !std::holds_alternative<bool>(n.value))
              wrong(key, "true or false", n);
            at(c) = std::get<bool>(n.value);
          },
          [=](const RunConfig& c) { return ConfigNode::of(static_cast<bool>(at(const_cast<RunConfig&>(c)))); }};
}

template <typename At>
Field list_field(const std::string& key, const std::string& help, At at) {
  return {key, help, [=](RunConfig& c, const ConfigNode& n) { at(c) = texts_of(key, n); },
          [=](const RunConfig& c) -> std::optional<ConfigNode> {
            const auto& texts = at(const_cast<RunConfig&>(c));
            if (texts.empty()) return std::nullopt;
            return texts.size() == 1 ? ConfigNode::of(texts.front()) : list_node(texts);
          }};
}

}  // namespace finetune
