// map, select and their relatives: filters and tests by name over the items of a list.
#include <algorithm>

#include "core/text.h"
#include "data/jinja/filters.h"
#include "data/jinja/getter.h"
#include "data/jinja/tests.h"

namespace finetune::jinja {

Getter::Getter(Evaluator& evaluator, const Value* attribute) : evaluator_(evaluator) {
  if (attribute == nullptr) return;
  if (!attribute->is_text()) {
    path_.push_back(*attribute);
    return;
  }
  for (const auto& part : split(attribute->bytes(), '.')) {
    const bool index = !part.empty() && part.size() < 10 && part.find_first_not_of("0123456789") == std::string::npos;
    path_.push_back(index ? Value(static_cast<std::int64_t>(std::stoll(part))) : Value::text(part));
  }
}

Value Getter::operator()(const Value& item) const {
  Value value = item;
  for (const auto& key : path_) {
    evaluator_.spend(1);
    value = evaluator_.item(value, key);
  }
  return value;
}

namespace {

// These take any false value, none among them, for an empty list.
std::shared_ptr<const Sequence> items_of(Evaluator& e, const Value& input) {
  return truthy(input) ? e.iterate(input) : e.iterate(Value());
}

Arguments from(const Arguments& all, std::size_t first) {
  Arguments rest;
  rest.named = all.named;
  for (std::size_t i = first; i < all.positional.size(); ++i) rest.positional.push_back(all.positional[i]);
  return rest;
}

const std::string& name_at(const Arguments& all, std::size_t at, const char* what) {
  if (at >= all.positional.size() || !all.positional[at].is_text())
    throw Fault(std::string(what) + " wants the name of a filter, test or attribute");
  return all.positional[at].bytes();
}

Value map(Evaluator& e, const Value& input, const Bound& bound) {
  const Arguments& all = bound.all();
  std::vector<Value> made;
  if (!truthy(input)) return e.list({}, Sequence::Kind::generator);  // the filter's name does not matter then
  const auto items = e.iterate(input);
  if (all.positional.empty() && !all.named.empty()) {
    static const std::string kName = "map";
    static const Signature kSignature{{"attribute", "default"}, 1};
    const Bound named(kName, kSignature, all);
    const Getter getter(e, named[0]);
    for (const auto& one : items->items) {
      const Value value = getter(one);
      made.push_back(value.is_undefined() && named.given(1) != nullptr ? *named[1] : value);
    }
  } else {
    const std::string& name = name_at(all, 0, "map");
    const FilterEntry* filter = find_filter(name);
    if (filter == nullptr) throw Fault("the filter " + name + " is not interpreted");
    const Arguments arguments = from(all, 1);
    const Bound inner(filter->name, filter->signature, arguments);
    for (const auto& one : items->items) {
      e.spend(1);
      made.push_back(filter->apply(e, one, inner));
    }
  }
  return e.list(std::move(made), Sequence::Kind::generator);
}

// The items of which the test (by default: truth) holds, or does not; with `by_attribute` the test sees an attribute.
template <bool by_attribute, bool wanted>
Value choose(Evaluator& e, const Value& input, const Bound& bound) {
  const Arguments& all = bound.all();
  const std::size_t first = by_attribute ? 1 : 0;
  if (by_attribute && all.positional.empty()) throw Fault("selectattr and rejectattr want an attribute");
  const Getter getter(e, by_attribute ? &all.positional[0] : nullptr);
  const TestEntry* test = nullptr;
  const Arguments arguments = from(all, first + 1);
  if (all.positional.size() > first) {
    const std::string& name = name_at(all, first, "select");
    test = find_test(name);
    if (test == nullptr) throw Fault("the test " + name + " is not interpreted");
  }
  std::vector<Value> kept;
  const auto items = items_of(e, input);
  for (const auto& one : items->items) {
    e.spend(1);
    const Value value = getter(one);
    const bool holds =
        test == nullptr ? truthy(value) : test->holds(e, value, Bound(test->name, test->signature, arguments));
    if (holds == wanted) kept.push_back(one);
  }
  return e.list(std::move(kept), Sequence::Kind::generator);
}

}  // namespace

std::span<const FilterEntry> choice_filters() {
  static const std::vector<FilterEntry> kFilters = {
      {"map", {{}, 0, true}, map},
      {"reject", {{}, 0, true}, choose<false, false>},
      {"rejectattr", {{}, 0, true}, choose<true, false>},
      {"select", {{}, 0, true}, choose<false, true>},
      {"selectattr", {{}, 0, true}, choose<true, true>},
  };
  return kFilters;
}

const FilterEntry* find_filter(const std::string& name) {
  for (const auto table : {text_filters(), number_filters(), list_filters(), choice_filters()}) {
    for (const auto& entry : table) {
      if (entry.name == name) return &entry;
    }
  }
  return nullptr;
}

}  // namespace finetune::jinja
