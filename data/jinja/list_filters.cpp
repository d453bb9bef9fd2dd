// Filters that take a list apart, order it or sum it up.
#include <algorithm>
#include <cmath>
#include <unordered_set>

#include "data/jinja/filters.h"
#include "data/jinja/getter.h"
#include "data/jinja/printing.h"
#include "data/jinja/unicode.h"

namespace finetune::jinja {
namespace {

// Text compares without regard to case unless asked for.
Value folded(Evaluator& e, const Value& value, bool case_sensitive) {
  return value.is_text() && !case_sensitive ? e.text(to_lower(value.bytes())) : value;
}

Value first(Evaluator& e, const Value& input, const Bound&) {
  if (const auto* all = input.sequence(); all != nullptr && all->kind == Sequence::Kind::generator)
    return all->taken < all->items.size() ? all->items[all->taken++] : Value(Undefined{.owner = "no first item"});
  if (input.is_text())
    return input.bytes().empty() ? Value(Undefined{.owner = "no first item"}) : e.item(input, Value(std::int64_t{0}));
  const auto items = e.iterate(input);
  return items->items.empty() ? Value(Undefined{.owner = "no first item"}) : items->items.front();
}

Value last(Evaluator& e, const Value& input, const Bound&) {
  if (input.sequence() != nullptr && input.sequence()->kind == Sequence::Kind::generator)
    throw Fault("last of a generator; put | list before it");
  const auto items = e.iterate(input);
  return items->items.empty() ? Value(Undefined{.owner = "no last item"}) : items->items.back();
}

Value list(Evaluator& e, const Value& input, const Bound&) {
  return e.list(e.iterate(input)->items);
}

Value join(Evaluator& e, const Value& input, const Bound& arguments) {
  const std::string between = arguments[0] == nullptr ? "" : text_of(*arguments[0]);
  const Getter getter(e, arguments.given(1));
  std::string out;
  bool begun = false;
  const auto items = e.iterate(input);
  for (const auto& one : items->items) {
    const Value value = getter(one);
    e.spend(weight_of(value) + static_cast<std::int64_t>(between.size() / 16));
    if (begun) out += between;
    begun = true;
    out += text_of(value);
  }
  return e.text(std::move(out));
}

Value items(Evaluator& e, const Value& input, const Bound&) {
  std::vector<Value> pairs;
  if (input.dict() == nullptr && !input.is_undefined()) throw Fault("items wants a dict");
  if (const auto* dict = input.dict()) {
    for (const auto& [key, value] : dict->entries) pairs.push_back(e.list({key, value}, Sequence::Kind::tuple));
  }
  return e.list(std::move(pairs), Sequence::Kind::generator);
}

// Pays for the comparisons, then sorts by key, stably.
void sort_by(Evaluator& e, std::vector<std::pair<Value, Value>>& keyed, bool reverse) {
  std::int64_t weight = 0;
  for (const auto& entry : keyed) weight += weight_of(entry.first);
  e.spend(weight * (1 + static_cast<std::int64_t>(std::log2(static_cast<double>(keyed.size()) + 1))));
  const auto before = [&](const auto& a, const auto& b) {
    return reverse ? compare(b.first, a.first) < 0 : compare(a.first, b.first) < 0;
  };
  if (keyed.size() > 1) compare(keyed[0].first, keyed[1].first);  // faults also where all keys are of one odd type
  for (const auto& entry : keyed) {
    if (const auto* real = entry.first.as<double>(); real != nullptr && std::isnan(*real))
      throw Fault("NaN has no order");
  }
  std::stable_sort(keyed.begin(), keyed.end(), before);
}

Value sort(Evaluator& e, const Value& input, const Bound& arguments) {
  const bool case_sensitive = arguments.flag(1, false);
  const Getter getter(e, arguments.given(2));
  std::vector<std::pair<Value, Value>> keyed;
  const auto items = e.iterate(input);
  for (const auto& one : items->items) keyed.emplace_back(e.list({folded(e, getter(one), case_sensitive)}), one);
  sort_by(e, keyed, arguments.flag(0, false));
  std::vector<Value> sorted;
  for (auto& entry : keyed) sorted.push_back(std::move(entry.second));
  return e.list(std::move(sorted));
}

Value dictsort(Evaluator& e, const Value& input, const Bound& arguments) {
  const std::string by = arguments.text(1, "key");
  if (by != "key" && by != "value") throw Fault("dictsort goes by key or by value");
  if (input.is_undefined()) throw Fault(input.as<Undefined>()->message());
  if (input.dict() == nullptr) throw Fault("dictsort wants a dict");
  std::vector<std::pair<Value, Value>> keyed;
  for (const auto& [key, value] : input.dict()->entries)
    keyed.emplace_back(folded(e, by == "key" ? key : value, arguments.flag(0, false)),
                       e.list({key, value}, Sequence::Kind::tuple));
  sort_by(e, keyed, arguments.flag(2, false));
  std::vector<Value> sorted;
  for (auto& entry : keyed) sorted.push_back(std::move(entry.second));
  return e.list(std::move(sorted));
}

Value unique(Evaluator& e, const Value& input, const Bound& arguments) {
  const Getter getter(e, arguments.given(1));
  std::unordered_set<Value, ValueHash, ValueEqual> seen;
  std::vector<Value> kept;
  const auto items = e.iterate(input);
  for (const auto& one : items->items) {
    const Value key = folded(e, getter(one), arguments.flag(0, false));
    e.spend(weight_of(key));
    if (seen.insert(key).second) kept.push_back(one);
  }
  return e.list(std::move(kept), Sequence::Kind::generator);
}

template <bool largest>
Value extreme(Evaluator& e, const Value& input, const Bound& arguments) {
  const Getter getter(e, arguments.given(1));
  const auto items = e.iterate(input);
  const Value* best = nullptr;
  Value best_key;
  for (const auto& one : items->items) {
    Value key = folded(e, getter(one), arguments.flag(0, false));
    e.spend(weight_of(key));
    if (best != nullptr && (largest ? compare(key, best_key) <= 0 : compare(key, best_key) >= 0)) continue;
    best = &one;
    best_key = std::move(key);
  }
  return best == nullptr ? Value(Undefined{.owner = "no item in the sequence"}) : *best;
}

Value sum(Evaluator& e, const Value& input, const Bound& arguments) {
  const Getter getter(e, arguments.given(0));
  Value total = arguments[1] == nullptr ? Value(std::int64_t{0}) : *arguments[1];
  if (total.is_text()) throw Fault("sum is not for texts");
  const auto items = e.iterate(input);
  for (const auto& one : items->items) total = e.binary(Operator::add, total, getter(one));
  return total;
}

Value reverse(Evaluator& e, const Value& input, const Bound&) {
  const Value none(None{});
  if (input.is_text()) return e.slice(input, none, none, Value(std::int64_t{-1}));
  std::vector<Value> turned = e.iterate(input)->items;
  std::reverse(turned.begin(), turned.end());
  return e.list(std::move(turned), Sequence::Kind::generator);
}

Value batch(Evaluator& e, const Value& input, const Bound& arguments) {
  const std::int64_t size = arguments.whole(0, 1);
  std::vector<Value> groups, group;
  const auto items = e.iterate(input);
  for (const auto& one : items->items) {
    if (static_cast<std::int64_t>(group.size()) == size) groups.push_back(e.list(std::exchange(group, {})));
    group.push_back(one);
  }
  if (!group.empty() && arguments.given(1) != nullptr) {
    e.spend(std::max<std::int64_t>(0, size));
    while (static_cast<std::int64_t>(group.size()) < size) group.push_back(*arguments[1]);
  }
  if (!group.empty()) groups.push_back(e.list(std::move(group)));
  return e.list(std::move(groups), Sequence::Kind::generator);
}

}  // namespace

std::span<const FilterEntry> list_filters() {
  static const std::vector<FilterEntry> kFilters = {
      {"batch", {{"linecount", "fill_with"}, 1}, batch},
      {"dictsort", {{"case_sensitive", "by", "reverse"}}, dictsort},
      {"first", {}, first},
      {"items", {}, items},
      {"join", {{"d", "attribute"}}, join},
      {"last", {}, last},
      {"list", {}, list},
      {"max", {{"case_sensitive", "attribute"}}, extreme<true>},
      {"min", {{"case_sensitive", "attribute"}}, extreme<false>},
      {"reverse", {}, reverse},
      {"sort", {{"reverse", "case_sensitive", "attribute"}}, sort},
      {"sum", {{"attribute", "start"}}, sum},
      {"unique", {{"case_sensitive", "attribute"}}, unique},
  };
  return kFilters;
}

}  // namespace finetune::jinja
