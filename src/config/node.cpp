#include "config/node.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <locale>
#include <nlohmann/json.hpp>
#include <regex>
#include <sstream>

#include "core/error.h"
#include "core/files.h"
#include "core/number.h"
#include "core/strict_json.h"

namespace finetune {
namespace {

constexpr std::size_t kDeepest = 32;

// yaml-cpp's own conversions are YAML 1.1; its events give the text and whether it was quoted, which is all we need.
class TreeBuilder : public YAML::EventHandler {
 public:
  explicit TreeBuilder(std::string file) : file_(std::move(file)) {}

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ > 1) throw bad_input(where(mark), "only one document is allowed in a configuration");
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    refuse_anchor(mark, anchor);
    put({}, mark);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    throw bad_input(where(mark), "aliases (*name) are not allowed; write the value out");
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& text) override {
    refuse_anchor(mark, anchor);
    require_utf8(where(mark), text);  // an escape may name what is no character
    const bool plain = tag == "?";
    if (!plain && tag != "!") throw bad_input(where(mark), "tags (" + tag + ") are not allowed");
    ConfigNode node;
    const auto value = plain ? resolve_scalar(text) : std::optional<Value>(text);
    if (value) node = ConfigNode::of(*value);
    node.text = text;
    put(std::move(node), mark);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(ConfigNode::Kind::list, mark, anchor);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(ConfigNode::Kind::map, mark, anchor);
  }
  void OnMapEnd() override { close(); }

  ConfigNode take() { return std::move(root_); }

 private:
  struct Open {
    ConfigNode node;
    std::optional<std::string> key;
  };

  std::string where(const YAML::Mark& mark) const { return file_ + ":" + std::to_string(mark.line + 1); }
  void refuse_anchor(const YAML::Mark& mark, YAML::anchor_t anchor) const {
    if (anchor != YAML::NullAnchor) throw bad_input(where(mark), "anchors (&name) are not allowed");
  }
  void open(ConfigNode::Kind kind, const YAML::Mark& mark, YAML::anchor_t anchor) {
    refuse_anchor(mark, anchor);
    if (open_.size() >= kDeepest) throw bad_input(where(mark), "is nested deeper than 32 levels");
    if (!open_.empty() && open_.back().node.kind == ConfigNode::Kind::map && !open_.back().key) {
      throw bad_input(where(mark), "a key must be a plain word");
    }
    Open next;
    next.node.kind = kind;
    next.node.where = where(mark);
    open_.push_back(std::move(next));
  }
  void close() {
    ConfigNode done = std::move(open_.back().node);
    open_.pop_back();
    place(std::move(done));
  }
  void put(ConfigNode node, const YAML::Mark& mark) {
    node.where = where(mark);
    if (!open_.empty() && open_.back().node.kind == ConfigNode::Kind::map && !open_.back().key) {
      if (open_.back().node.find(node.text) != nullptr)
        throw bad_input(node.where, "key " + node.text + " is repeated");
      open_.back().key = node.text;
      return;
    }
    place(std::move(node));
  }
  void place(ConfigNode node) {
    if (open_.empty()) {
      root_ = std::move(node);
    } else if (open_.back().node.kind == ConfigNode::Kind::list) {
      open_.back().node.items.push_back(std::move(node));
    } else {
      open_.back().node.entries.emplace_back(std::move(*open_.back().key), std::move(node));
      open_.back().key.reset();
    }
  }

  std::string file_;
  int documents_ = 0;
  ConfigNode root_;
  std::vector<Open> open_;
};

ConfigNode from_json(const std::string& where, const nlohmann::ordered_json& json) {
  ConfigNode node;
  if (json.is_object()) {
    node.kind = ConfigNode::Kind::map;
    for (const auto& [key, value] : json.items()) node.entries.emplace_back(key, from_json(where, value));
  } else if (json.is_array()) {
    node.kind = ConfigNode::Kind::list;
    for (const auto& value : json) node.items.push_back(from_json(where, value));
  } else if (!json.is_null()) {
    node = ConfigNode::of(value_from_json(json));
    node.text = json.is_string() ? json.get<std::string>() : json.dump();
  }
  node.where = where;
  return node;
}

bool plain_is_same_string(const std::string& text) {
  static const std::regex kSafe("[A-Za-z_./][A-Za-z0-9_./+-]*");
  const auto resolved = resolve_scalar(text);
  return std::regex_match(text, kSafe) && resolved && std::holds_alternative<std::string>(*resolved);
}

std::string quoted(const std::string& text) {
  return nlohmann::json(text).dump();
}  // JSON strings are YAML strings

std::string scalar_yaml(const Value& value) {
  if (const auto* text = std::get_if<std::string>(&value)) return plain_is_same_string(*text) ? *text : quoted(*text);
  if (const auto* number = std::get_if<double>(&value)) {
    if (std::isnan(*number)) return ".nan";
    if (std::isinf(*number)) return *number > 0 ? ".inf" : "-.inf";
    const std::string text = number_to_text(*number);
    return text.find_first_of(".e") == std::string::npos ? text + ".0" : text;
  }
  return to_text(value);
}

std::string flow_yaml(const ConfigNode& node) {
  switch (node.kind) {
    case ConfigNode::Kind::null:
      return "null";
    case ConfigNode::Kind::scalar:
      return scalar_yaml(node.value);
    case ConfigNode::Kind::list: {
      std::string text = "[";
      for (const auto& item : node.items) text += (text.size() > 1 ? ", " : "") + flow_yaml(item);
      return text + "]";
    }
    case ConfigNode::Kind::map: {
      std::string text = "{";
      for (const auto& [key, value] : node.entries) {
        text +=
            (text.size() > 1 ? ", " : "") + (plain_is_same_string(key) ? key : quoted(key)) + ": " + flow_yaml(value);
      }
      return text + "}";
    }
  }
  return "";
}

bool has_nested_map(const ConfigNode& node) {
  return std::any_of(node.entries.begin(), node.entries.end(), [](const auto& entry) {
    return entry.second.kind == ConfigNode::Kind::map && !entry.second.entries.empty();
  });
}

}  // namespace

ConfigNode::ConfigNode() = default;
ConfigNode::ConfigNode(const ConfigNode&) = default;
ConfigNode::ConfigNode(ConfigNode&&) noexcept = default;
ConfigNode& ConfigNode::operator=(const ConfigNode&) = default;
ConfigNode& ConfigNode::operator=(ConfigNode&&) noexcept = default;
ConfigNode::~ConfigNode() = default;

ConfigNode ConfigNode::of(Value value, std::string where) {
  ConfigNode node;
  node.kind = Kind::scalar;
  node.text = to_text(value);
  node.value = std::move(value);
  node.where = std::move(where);
  return node;
}

const ConfigNode* ConfigNode::find(const std::string& key) const {
  for (const auto& [name, node] : entries) {
    if (name == key) return &node;
  }
  return nullptr;
}

void forget_places(ConfigNode& node) {
  node.where.clear();
  for (ConfigNode& item : node.items) forget_places(item);
  for (auto& [key, entry] : node.entries) forget_places(entry);
}

std::optional<Value> resolve_scalar(const std::string& text) {
  static const std::regex kInteger("[-+]?[0-9]+"), kOctal("0o[0-7]+"), kHex("0x[0-9a-fA-F]+");
  static const std::regex kFloat("[-+]?(\\.[0-9]+|[0-9]+(\\.[0-9]*)?)([eE][-+]?[0-9]+)?");
  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL") return std::nullopt;
  if (text == "true" || text == "True" || text == "TRUE") return true;
  if (text == "false" || text == "False" || text == "FALSE") return false;
  if (text.size() > 400) return text;  // no number is that long
  const auto whole = [&](std::size_t skip, int base) -> std::optional<Value> {
    std::int64_t value = 0;
    const auto result = std::from_chars(text.data() + skip, text.data() + text.size(), value, base);
    if (result.ec == std::errc()) return value;
    return number_from_text(text.substr(skip)).value_or(std::numeric_limits<double>::infinity());
  };
  if (std::regex_match(text, kInteger)) return whole(text[0] == '+' ? 1 : 0, 10);
  if (std::regex_match(text, kOctal)) return whole(2, 8);
  if (std::regex_match(text, kHex)) return whole(2, 16);
  if (std::regex_match(text, kFloat)) {
    const std::size_t skip = text[0] == '+' ? 1 : 0;
    double value = 0;
    std::istringstream stream(text.substr(skip));  // from_chars does not tell 1e400 from 1e-400
    stream.imbue(std::locale::classic());
    if (stream >> value) return value;
    return std::copysign(std::numeric_limits<double>::infinity(), value);
  }
  if (text == ".inf" || text == ".Inf" || text == ".INF" || text == "+.inf")
    return std::numeric_limits<double>::infinity();
  if (text == "-.inf" || text == "-.Inf" || text == "-.INF") return -std::numeric_limits<double>::infinity();
  if (text == ".nan" || text == ".NaN" || text == ".NAN") return std::numeric_limits<double>::quiet_NaN();
  return text;
}

// YAML 1.2 section 5.1: of the control characters only tab and line ends. yaml-cpp reads on and gives wrong bytes.
static void refuse_control_characters(const std::string& file, const std::string& text) {
  long line = 1;
  for (const char c : text) {
    if (c == '\n') ++line;
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 && c != '\t' && c != '\n' && c != '\r') {
      throw bad_input(file + ":" + std::to_string(line), "holds a control character, which YAML does not allow");
    }
  }
}

ConfigNode parse_config(const std::string& file, const std::string& content) {
  require_utf8(file, content);
  const std::string text = content.starts_with("\xEF\xBB\xBF") ? content.substr(3) : content;  // byte order mark
  if (!text.empty() && text.front() == '{') return from_json(file, parse_strict_json(file, text, kDeepest));
  refuse_control_characters(file, text);
  TreeBuilder builder(file);
  try {
    std::istringstream stream(text);
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const YAML::Exception& error) {
    throw bad_input(file + ":" + std::to_string(error.mark.line + 1), "is not valid YAML: " + error.msg);
  }
  return builder.take();
}

std::string to_yaml(const ConfigNode& node, int indent) {
  if (node.kind != ConfigNode::Kind::map || node.entries.empty()) return flow_yaml(node) + "\n";
  std::string text;
  for (const auto& [key, value] : node.entries) {
    text += std::string(static_cast<std::size_t>(indent), ' ') + (plain_is_same_string(key) ? key : quoted(key)) + ":";
    const bool block = value.kind == ConfigNode::Kind::map && (has_nested_map(value) || value.entries.size() > 4);
    text += block ? "\n" + to_yaml(value, indent + 2) : " " + flow_yaml(value) + "\n";
  }
  return text;
}

}  // namespace finetune
