#include "config/values.h"

#include <cmath>

#include "core/error.h"
#include "core/number.h"

namespace finetune {

void wrong(const std::string& key, const std::string& expected, const ConfigNode& node) {
  const std::string found = node.kind == ConfigNode::Kind::null   ? "nothing"
                            : node.kind == ConfigNode::Kind::list ? "a list"
                            : node.kind == ConfigNode::Kind::map  ? "a map"
                                                                  : node.text.substr(0, 80);
  throw bad_input("", key + " must be " + expected + ", not " + (found.empty() ? "empty" : found));
}

std::string text_of(const std::string& key, const ConfigNode& node) {
  if (node.kind != ConfigNode::Kind::scalar) wrong(key, "a text", node);
  return std::holds_alternative<std::string>(node.value) ? std::get<std::string>(node.value) : node.text;
}

std::string Range::text() const {
  const std::string from = std::isinf(low) ? "" : (open_low ? "above " : "at least ") + number_to_text(low);
  const std::string to = std::isinf(high) ? "" : (open_high ? "below " : "at most ") + number_to_text(high);
  return from + (from.empty() || to.empty() ? "" : " and ") + to;
}

bool Range::holds(double v) const {
  return std::isfinite(v) && (open_low ? v > low : v >= low) && (open_high ? v < high : v <= high);
}

double number_of(const std::string& key, const ConfigNode& node, const Range& range) {
  const bool number = node.kind == ConfigNode::Kind::scalar &&
                      (std::holds_alternative<double>(node.value) || std::holds_alternative<std::int64_t>(node.value));
  const std::string expected = "a number" + (range.text().empty() ? "" : " " + range.text());
  if (!number || !range.holds(as_number(node.value))) wrong(key, expected, node);
  return as_number(node.value);
}

std::int64_t whole_of(const std::string& key, const ConfigNode& node, std::int64_t low, std::int64_t high,
                      const std::string& or_word) {
  const std::string expected = "a whole number of at least " + std::to_string(low) +
                               (high < kMany ? " and at most " + std::to_string(high) : "") +
                               (or_word.empty() ? "" : ", or " + or_word);
  if (node.kind != ConfigNode::Kind::scalar) wrong(key, expected, node);
  std::int64_t value = 0;
  if (const auto* whole = std::get_if<std::int64_t>(&node.value)) {
    value = *whole;
  } else if (const auto* real = std::get_if<double>(&node.value);
             real && *real == std::floor(*real) && std::fabs(*real) < 1e15) {
    value = static_cast<std::int64_t>(*real);
  } else {
    wrong(key, expected, node);
  }
  if (value < low || value > high) wrong(key, expected, node);
  return value;
}

std::vector<std::string> texts_of(const std::string& key, const ConfigNode& node) {
  std::vector<std::string> texts;
  if (node.kind == ConfigNode::Kind::scalar) return {text_of(key, node)};
  if (node.kind != ConfigNode::Kind::list) wrong(key, "a text or a list of texts", node);
  for (const auto& item : node.items) texts.push_back(text_of(key, item));
  return texts;
}

ConfigNode list_node(const std::vector<std::string>& texts) {
  ConfigNode node;
  node.kind = ConfigNode::Kind::list;
  for (const auto& text : texts) node.items.push_back(ConfigNode::of(text));
  return node;
}

}  // namespace finetune
