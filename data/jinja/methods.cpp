#include "data/jinja/methods.h"

#include <algorithm>

#include "data/jinja/arguments.h"
#include "data/jinja/printing.h"

namespace finetune::jinja {
namespace {

using Name = const std::string&;

Value dict_view(Evaluator& e, const Value& self, Name name, const Arguments& arguments) {
  const Bound bound(name, {}, arguments);
  std::vector<Value> seen;
  e.spend(static_cast<std::int64_t>(self.dict()->entries.size()));
  for (const auto& [key, value] : self.dict()->entries)
    seen.push_back(name == "keys" ? key : name == "values" ? value : e.list({key, value}, Sequence::Kind::tuple));
  using Kind = Sequence::Kind;
  return e.list(std::move(seen), name == "keys" ? Kind::keys : name == "values" ? Kind::values : Kind::items);
}

Value dict_get(Evaluator&, const Value& self, Name name, const Arguments& arguments) {
  const Bound bound(name, {{"key", "default"}, 1}, arguments);
  if (const Value* found = self.dict()->find(*bound[0])) return *found;
  return bound[1] == nullptr ? Value(None{}) : *bound[1];
}

Value copy(Evaluator&, const Value& self, Name name, const Arguments& arguments) {
  const Bound bound(name, {}, arguments);
  return self;  // nothing changes it
}

Value list_count(Evaluator& e, const Value& self, Name name, const Arguments& arguments) {
  const Bound bound(name, {{"value"}, 1}, arguments);
  e.spend(weight_of(self));
  const auto& items = self.sequence()->items;
  return {static_cast<std::int64_t>(
      std::count_if(items.begin(), items.end(), [&](const Value& one) { return equal(one, *bound[0]); }))};
}

Value list_index(Evaluator& e, const Value& self, Name name, const Arguments& arguments) {
  const Bound bound(name, {{"value"}, 1}, arguments);
  e.spend(weight_of(self));
  const auto& items = self.sequence()->items;
  const auto found = std::find_if(items.begin(), items.end(), [&](const Value& one) { return equal(one, *bound[0]); });
  if (found == items.end()) throw Fault("index: the value is not in the list");
  return {static_cast<std::int64_t>(found - items.begin())};
}

Value loop_cycle(Evaluator&, const Value& self, Name, const Arguments& arguments) {
  if (arguments.positional.empty()) throw Fault("loop.cycle wants values");
  return arguments.positional[(*self.as<Loop*>())->at % arguments.positional.size()];
}

Value loop_changed(Evaluator& e, const Value& self, Name, const Arguments& arguments) {
  std::vector<Value>& before = (*self.as<Loop*>())->changed;
  for (const auto& value : arguments.positional) e.spend(weight_of(value));
  const bool same = before.size() == arguments.positional.size() + 1 &&
                    std::equal(arguments.positional.begin(), arguments.positional.end(), before.begin() + 1, equal);
  before.assign(1, Value(None{}));  // the first: there has been a call
  before.insert(before.end(), arguments.positional.begin(), arguments.positional.end());
  return {!same};
}

const Method* find_in(const std::vector<Method>& methods, const std::string& name) {
  const auto found = std::find_if(methods.begin(), methods.end(), [&](const Method& one) { return one.name == name; });
  return found == methods.end() ? nullptr : &*found;
}

const Method* find_dict_method(const std::string& name) {
  static const std::vector<Method> kMethods = {
      {"clear", nullptr},      {"copy", copy},      {"fromkeys", nullptr}, {"get", dict_get},
      {"items", dict_view},    {"keys", dict_view}, {"pop", nullptr},      {"popitem", nullptr},
      {"setdefault", nullptr}, {"update", nullptr}, {"values", dict_view},
  };
  return find_in(kMethods, name);
}

const Method* find_list_method(const std::string& name, bool tuple) {
  static const std::vector<Method> kMethods = {
      {"count", list_count}, {"index", list_index}, {"copy", copy},      {"append", nullptr},
      {"clear", nullptr},    {"extend", nullptr},   {"insert", nullptr}, {"pop", nullptr},
      {"remove", nullptr},   {"reverse", nullptr},  {"sort", nullptr},
  };
  const Method* found = find_in(kMethods, name);
  return found == nullptr || (tuple && found - kMethods.data() >= 2) ? nullptr : found;
}

// What every object of Python has, and leads out of the sandbox.
bool is_internal(const std::string& name) {
  static const std::vector<std::string> kNames = {
      "__class__", "__delattr__", "__dict__",   "__dir__",           "__doc__",
      "__eq__",    "__format__",  "__ge__",     "__getattribute__",  "__getstate__",
      "__gt__",    "__hash__",    "__init__",   "__init_subclass__", "__le__",
      "__lt__",    "__ne__",      "__new__",    "__reduce__",        "__reduce_ex__",
      "__repr__",  "__setattr__", "__sizeof__", "__str__",           "__subclasshook__"};
  return name.starts_with("__") && std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

Value raise_exception(Evaluator& e, const Arguments& arguments) {
  static const std::string kName = "raise_exception";
  const Bound bound(kName, {{"message"}, 1}, arguments);
  e.spend(weight_of(*bound[0]));
  throw Fault("the template refuses this conversation: " + text_of(*bound[0]));
}

Value strftime_now(Evaluator& e, const Arguments& arguments) {
  static const std::string kName = "strftime_now";
  const Bound bound(kName, {{"format"}, 1}, arguments);
  const std::string format = bound.text(0) + "|";  // never an empty result, which would look like too small a buffer
  if (format.size() > 200) throw Fault("strftime_now: the format is too long");
  char buffer[4096];
  const std::size_t size = std::strftime(buffer, sizeof buffer, format.c_str(), &e.date());
  if (size == 0) throw Fault("strftime_now: the format is too long");
  return e.text(std::string(buffer, size - 1));
}

Value range(Evaluator& e, const Arguments& arguments) {
  std::int64_t numbers[3] = {0, 0, 1};
  const std::size_t count = arguments.positional.size();
  if (count == 0 || count > 3 || !arguments.named.empty()) throw Fault("range takes one to three numbers");
  for (std::size_t i = 0; i < count; ++i) {
    if (!arguments.positional[i].whole(numbers[count == 1 ? 1 : i])) throw Fault("range takes whole numbers");
  }
  const auto [first, last, step] = numbers;
  if (step == 0) throw Fault("the step of a range is 0");
  std::vector<Value> items;
  for (std::int64_t at = first; step > 0 ? at < last : at > last;) {
    if (items.size() >= 100'000) throw Fault("a range is too long");  // the limit of Jinja's sandbox
    items.push_back({at});
    if (__builtin_add_overflow(at, step, &at)) break;
  }
  return e.list(std::move(items), Sequence::Kind::range);
}

void read_pairs(Evaluator& e, const Value& pairs, Dict& made) {
  e.spend(weight_of(pairs));
  if (const auto* source = pairs.dict()) {
    for (const auto& [key, value] : source->entries) made.set(key, value);
    return;
  }
  const auto both_of_each = e.iterate(pairs);
  for (const auto& pair : both_of_each->items) {
    const auto both = e.iterate(pair);
    if (both->items.size() != 2) throw Fault("dict takes pairs");
    made.set(both->items[0], both->items[1]);
  }
}

Value dict(Evaluator& e, const Arguments& arguments) {
  if (arguments.positional.size() > 1) throw Fault("dict takes one argument by position");
  Dict made;
  if (!arguments.positional.empty()) read_pairs(e, arguments.positional[0], made);
  for (const auto& [name, value] : arguments.named) made.set(Value::text(name), value);
  return make_dict(std::move(made));
}

Value make_namespace(Evaluator& e, const Arguments& arguments) {
  const Value made = dict(e, arguments);
  Namespace* space = e.make_namespace();
  for (const auto& [key, value] : made.dict()->entries) {
    if (!key.is_text() || key.bytes().starts_with('_')) throw Fault("a namespace takes no names that begin with _");
    space->attributes.emplace_back(key.bytes(), value);
  }
  return {space};
}

}  // namespace

const Method* find_method(const Value& value, const std::string& name) {
  static const Method kRefused{"", nullptr};
  const auto* items = value.sequence();
  const Method* found = nullptr;
  if (value.is_text())
    found = find_text_method(name);
  else if (value.dict() != nullptr)
    found = find_dict_method(name);
  else if (items != nullptr && items->kind <= Sequence::Kind::tuple)
    found = find_list_method(name, items->kind == Sequence::Kind::tuple);
  else if (value.is<Loop*>() && name == "cycle")
    return [] {
      static const Method kCycle{"cycle", loop_cycle};
      return &kCycle;
    }();
  else if (value.is<Loop*>() && name == "changed")
    return [] {
      static const Method kChanged{"changed", loop_changed};
      return &kChanged;
    }();
  if (found == nullptr && is_internal(name) && !value.is_undefined() && !value.is<Namespace*>()) return &kRefused;
  return found;
}

Callable::Function find_function(const std::string& name) {
  if (name == "raise_exception") return raise_exception;
  if (name == "strftime_now") return strftime_now;
  if (name == "range") return range;
  if (name == "dict") return dict;
  if (name == "namespace") return make_namespace;
  return nullptr;
}

}  // namespace finetune::jinja
