#include "data/jinja/value.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace finetune::jinja {
namespace {

constexpr std::size_t kSmall = 16;  // entries that are looked through one by one

template <typename Number>
int order(const Number& a, const Number& b) {
  return a < b ? -1 : b < a ? 1 : 0;
}

// Exact, as Python compares an int with a float.
int order_mixed(std::int64_t a, double b) {
  if (b >= 9223372036854775808.0) return -1;
  if (b < -9223372036854775808.0) return 1;
  const auto whole = static_cast<std::int64_t>(b);
  return a != whole ? order(a, whole) : order(0.0, b - static_cast<double>(whole));
}

bool is_number(const Value& value) {
  return value.is<bool>() || value.is<std::int64_t>() || value.is<double>();
}

int order_numbers(const Value& a, const Value& b) {
  std::int64_t left = 0, right = 0;
  const bool left_whole = a.whole(left), right_whole = b.whole(right);
  if (left_whole && right_whole) return order(left, right);
  if (left_whole) return order_mixed(left, *b.as<double>());
  if (right_whole) return -order_mixed(right, *a.as<double>());
  return order(*a.as<double>(), *b.as<double>());
}

bool has_nan(const Value& value) {
  return value.is<double>() && *value.as<double>() != *value.as<double>();
}

bool equal_items(const Sequence& a, const Sequence& b) {
  return a.kind == b.kind && a.items.size() == b.items.size() &&
         std::equal(a.items.begin(), a.items.end(), b.items.begin(), equal);
}

bool equal_entries(const Dict& a, const Dict& b) {
  if (a.entries.size() != b.entries.size()) return false;
  return std::all_of(a.entries.begin(), a.entries.end(), [&](const auto& entry) {
    const Value* other = b.find(entry.first);
    return other != nullptr && equal(entry.second, *other);
  });
}

int depth_of(const Value& value) {
  if (const auto* sequence = value.sequence()) return sequence->depth;
  if (const auto* dict = value.dict()) return dict->depth;
  return 0;
}

template <typename Container>
void include(Container& container, const Value& value) {
  container.depth = std::max(container.depth, depth_of(value) + 1);
  container.weight += weight_of(value);
  if (container.depth > kDeepest) throw Fault("lists and dicts are nested deeper than " + std::to_string(kDeepest));
  if (container.weight > kHeaviest) throw Fault("a list or dict is too large");
}

}  // namespace

std::string Undefined::message() const {
  if (name == nullptr) return owner == nullptr ? "a value is undefined" : owner;
  if (owner == nullptr) return "'" + *name + "' is undefined";
  return "'" + std::string(owner) + "' has no attribute '" + *name + "'";
}

Value Value::text(std::string bytes, bool markup) {
  return {Text{std::make_shared<const std::string>(std::move(bytes)), markup}};
}

const Sequence* Value::sequence() const {
  const auto* pointer = as<std::shared_ptr<const Sequence>>();
  return pointer == nullptr ? nullptr : pointer->get();
}

const Dict* Value::dict() const {
  const auto* pointer = as<std::shared_ptr<const Dict>>();
  return pointer == nullptr ? nullptr : pointer->get();
}

bool Value::whole(std::int64_t& number) const {
  if (const auto* flag = as<bool>()) number = *flag ? 1 : 0;
  if (const auto* integer = as<std::int64_t>()) number = *integer;
  return is<bool>() || is<std::int64_t>();
}

bool Value::number(double& number) const {
  std::int64_t integer = 0;
  if (const auto* real = as<double>())
    number = *real;
  else if (whole(integer))
    number = static_cast<double>(integer);
  return is_number(*this);
}

std::size_t ValueHash::operator()(const Value& value) const {
  double number = 0;
  if (value.is_text()) return std::hash<std::string>()(value.bytes());
  if (value.number(number)) return std::hash<double>()(number);
  if (value.is<None>() || value.is_undefined()) return 1;
  const Sequence* sequence = value.sequence();
  if (sequence == nullptr || sequence->kind != Sequence::Kind::tuple)
    throw Fault(std::string("unhashable type: '") + type_name(value) + "'");
  std::size_t hash = 2;
  for (const auto& item : sequence->items) hash = hash * 31 + (*this)(item);
  return hash;
}

bool ValueEqual::operator()(const Value& a, const Value& b) const {
  return equal(a, b);
}

const Value* Dict::find(const Value& key) const {
  if (key.is_text() && entries.size() <= kSmall) return find(std::string_view(key.bytes()));
  if (entries.size() <= kSmall) {
    ValueHash()(key);  // faults for what Python does not take as a key
    for (const auto& [name, value] : entries) {
      if (equal(name, key)) return &value;
    }
    return nullptr;
  }
  const auto found = index_.find(key);
  return found == index_.end() ? nullptr : &entries[found->second].second;
}

const Value* Dict::find(std::string_view key) const {
  if (entries.size() > kSmall) return find(Value::text(std::string(key)));
  for (const auto& [name, value] : entries) {
    if (name.is_text() && name.bytes() == key) return &value;
  }
  return nullptr;
}

void Dict::set(const Value& key, Value value) {
  if (const Value* there = find(key)) {
    *const_cast<Value*>(there) = std::move(value);
    return;
  }
  entries.emplace_back(key, std::move(value));
  if (entries.size() == kSmall + 1) {
    for (std::size_t i = 0; i < entries.size(); ++i) index_.emplace(entries[i].first, i);
  } else if (entries.size() > kSmall) {
    index_.emplace(key, entries.size() - 1);
  }
}

Value* Namespace::find(std::string_view name) {
  for (auto& [key, value] : attributes) {
    if (key == name) return &value;
  }
  return nullptr;
}

std::int64_t weight_of(const Value& value) {
  if (value.is_text()) return 1 + static_cast<std::int64_t>(value.bytes().size() / 16);
  if (const auto* sequence = value.sequence()) return sequence->weight;
  if (const auto* dict = value.dict()) return dict->weight;
  return 1;
}

Value make_sequence(Sequence::Kind kind, std::vector<Value> items) {
  Sequence sequence{.kind = kind, .items = std::move(items)};
  for (const auto& item : sequence.items) include(sequence, item);
  return {std::make_shared<const Sequence>(std::move(sequence))};
}

Value make_dict(Dict dict) {
  for (const auto& [key, value] : dict.entries) {
    include(dict, key);
    include(dict, value);
  }
  return {std::make_shared<const Dict>(std::move(dict))};
}

Value from_json(const nlohmann::ordered_json& json) {
  if (json.is_null()) return {None{}};
  if (json.is_boolean()) return {json.get<bool>()};
  if (json.is_string()) return Value::text(json.get<std::string>());
  if (json.is_number_float()) return {json.get<double>()};
  if (json.is_number_unsigned() && json.get<std::uint64_t>() > INT64_MAX)
    throw Fault("the number " + json.dump() + " is outside 64 bits");
  if (json.is_number()) return {json.get<std::int64_t>()};
  if (json.is_array()) {
    std::vector<Value> items;
    items.reserve(json.size());
    for (const auto& item : json) items.push_back(from_json(item));
    return make_sequence(Sequence::Kind::list, std::move(items));
  }
  Dict dict;
  dict.entries.reserve(json.size());
  for (const auto& [key, value] : json.items()) dict.set(Value::text(key), from_json(value));
  return make_dict(std::move(dict));
}

bool truthy(const Value& value) {
  double number = 0;
  if (value.number(number)) return number != 0;
  if (value.is_text()) return !value.bytes().empty();
  if (const auto* sequence = value.sequence())
    return sequence->kind == Sequence::Kind::generator || !sequence->items.empty();
  if (const auto* dict = value.dict()) return !dict->entries.empty();
  return !value.is_undefined() && !value.is<None>();
}

bool equal(const Value& a, const Value& b) {
  if (is_number(a) && is_number(b)) return !has_nan(a) && !has_nan(b) && order_numbers(a, b) == 0;
  if (a.data().index() != b.data().index()) return false;
  if (a.is_undefined() || a.is<None>()) return true;
  if (a.is_text()) return a.bytes() == b.bytes();
  if (const auto* sequence = a.sequence()) return sequence == b.sequence() || equal_items(*sequence, *b.sequence());
  if (const auto* dict = a.dict()) return dict == b.dict() || equal_entries(*dict, *b.dict());
  if (const auto* space = a.as<Namespace*>()) return *space == *b.as<Namespace*>();
  if (const auto* loop = a.as<Loop*>()) return *loop == *b.as<Loop*>();
  return *a.as<std::shared_ptr<const Callable>>() == *b.as<std::shared_ptr<const Callable>>();
}

int compare(const Value& a, const Value& b) {
  if (is_number(a) && is_number(b)) return order_numbers(a, b);
  if (a.is_text() && b.is_text()) return order(a.bytes(), b.bytes());
  const auto *left = a.sequence(), *right = b.sequence();
  if (left != nullptr && right != nullptr && left->kind == right->kind &&
      (left->kind == Sequence::Kind::list || left->kind == Sequence::Kind::tuple)) {
    for (std::size_t i = 0; i < std::min(left->items.size(), right->items.size()); ++i) {
      if (!equal(left->items[i], right->items[i])) return compare(left->items[i], right->items[i]);
    }
    return order(left->items.size(), right->items.size());
  }
  if (a.is_undefined()) throw Fault(a.as<Undefined>()->message());
  if (b.is_undefined()) throw Fault(b.as<Undefined>()->message());
  throw Fault(std::string("'") + type_name(a) + "' and '" + type_name(b) + "' have no order");
}

const char* type_name(const Value& value) {
  static constexpr const char* kNames[] = {"Undefined", "NoneType", "bool",      "int",  "float",   "str",
                                           "list",      "dict",     "Namespace", "Loop", "function"};
  static constexpr const char* kSequences[] = {"list",      "tuple",       "generator", "range",
                                               "dict_keys", "dict_values", "dict_items"};
  if (const auto* sequence = value.sequence()) return kSequences[static_cast<int>(sequence->kind)];
  return kNames[value.data().index()];
}

}  // namespace finetune::jinja
