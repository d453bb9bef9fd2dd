// Attributes, items, slices, and going through a value.
#include <algorithm>

#include "data/jinja/evaluator.h"
#include "data/jinja/inside.h"
#include "data/jinja/methods.h"
#include "data/jinja/printing.h"
#include "data/jinja/unicode.h"

namespace finetune::jinja {
namespace {

// "dict object", as Jinja's messages call it.
const char* owner_of(const Value& value) {
  static constexpr const char* kNames[] = {"Undefined object", "None",        "bool object",    "int object",
                                           "float object",     "str object",  "list object",    "dict object",
                                           "Namespace object", "loop object", "function object"};
  if (value.sequence() != nullptr && value.sequence()->kind != Sequence::Kind::list) return "sequence object";
  return kNames[value.data().index()];
}

Value missing(const Value& object, SharedText name) {
  return {Undefined{.name = std::move(name), .owner = owner_of(object)}};
}

bool indexable(const Sequence& sequence) {
  return sequence.kind == Sequence::Kind::list || sequence.kind == Sequence::Kind::tuple ||
         sequence.kind == Sequence::Kind::range;
}

// Python's slice.indices: the positions that begin:end:step takes of `size`.
std::vector<std::size_t> positions(std::int64_t size, const Value& begin, const Value& end, std::int64_t step) {
  const auto bound = [&](const Value& value, std::int64_t otherwise) {
    std::int64_t at = otherwise;
    if (!value.whole(at)) return otherwise;
    if (at < 0) at = std::max(at + size, step < 0 ? std::int64_t{-1} : std::int64_t{0});
    return std::min(at, step < 0 ? size - 1 : size);
  };
  const std::int64_t first = bound(begin, step < 0 ? size - 1 : 0), last = bound(end, step < 0 ? -1 : size);
  std::vector<std::size_t> taken;
  const std::int64_t stride = std::clamp(step, -size - 1, size + 1);  // beyond the ends all steps are one
  for (std::int64_t at = first; step > 0 ? at < last : at > last; at += stride)
    taken.push_back(static_cast<std::size_t>(at));
  return taken;
}

bool is_slice_bound(const Value& value) {
  std::int64_t number = 0;
  return value.is<None>() || value.whole(number);
}

}  // namespace

Value Evaluator::attribute(const Value& object, const SharedText& name) {
  if (object.is_undefined()) throw Fault(object.as<Undefined>()->message());
  if (object.is<Namespace*>()) {
    const Value* found = (*object.as<Namespace*>())->find(*name);
    return found == nullptr ? missing(object, name) : *found;
  }
  if (object.is<Loop*>()) {
    Value found = loop_attribute(**object.as<Loop*>(), *name);
    return found.is_undefined() && found.as<Undefined>()->name == nullptr && found.as<Undefined>()->owner == nullptr
               ? missing(object, name)
               : found;
  }
  if (const Method* method = find_method(object, *name)) {
    if (method->call == nullptr)
      return {
          Undefined{.owner = "a template may not reach an attribute that changes its object or leaves the sandbox"}};
    Callable callable;
    callable.self = object;
    callable.method = name;
    return {std::make_shared<const Callable>(std::move(callable))};
  }
  const Value* found = object.dict() == nullptr ? nullptr : object.dict()->find(std::string_view(*name));
  return found == nullptr ? missing(object, name) : *found;
}

Value Evaluator::item(const Value& object, const Value& key) {
  if (object.is_undefined()) throw Fault(object.as<Undefined>()->message());
  std::int64_t index = 0;
  if (const auto* dict = object.dict()) {
    const bool hashable =
        key.dict() == nullptr && (key.sequence() == nullptr || key.sequence()->kind == Sequence::Kind::tuple);
    if (const Value* found = hashable ? dict->find(key) : nullptr) return *found;
  } else if (object.is_text() && key.whole(index)) {
    const std::string& bytes = object.bytes();
    const bool ascii = is_ascii(bytes);
    spend(1 + static_cast<std::int64_t>(bytes.size() / 16));
    const auto size = static_cast<std::int64_t>(ascii ? bytes.size() : count_points(bytes));
    if (index < 0) index += size;
    if (index >= 0 && index < size) {
      const auto at = static_cast<std::size_t>(index);
      const std::size_t begin = ascii ? at : byte_offset(bytes, at);
      std::size_t end = begin;
      next_point(bytes, end);
      return text(bytes.substr(begin, end - begin), object.markup());
    }
  } else if (object.sequence() != nullptr && indexable(*object.sequence()) && key.whole(index)) {
    const auto& items = object.sequence()->items;
    if (index < 0) index += static_cast<std::int64_t>(items.size());
    if (index >= 0 && static_cast<std::size_t>(index) < items.size()) return items[static_cast<std::size_t>(index)];
  }
  if (key.is_text()) return attribute(object, key.as<Text>()->bytes);
  const bool plain = key.sequence() == nullptr && key.dict() == nullptr && !key.is<std::shared_ptr<const Callable>>() &&
                     !key.is<Namespace*>() && !key.is<Loop*>();
  return missing(object, std::make_shared<const std::string>(plain ? text_of(key) : type_name(key)));
}

Value Evaluator::slice(const Value& object, const Value& begin, const Value& end, const Value& step) {
  if (object.is_undefined()) throw Fault(object.as<Undefined>()->message());
  std::int64_t stride = 1;
  const bool sliceable = object.is_text() || (object.sequence() != nullptr && indexable(*object.sequence()));
  if (!sliceable) throw Fault(std::string("a value of type ") + type_name(object) + " has no slices");
  for (const Value* bound : {&begin, &end, &step}) {
    if (!is_slice_bound(*bound)) throw Fault("the bounds of a slice are whole numbers");
  }
  step.whole(stride);
  if (stride == 0) throw Fault("the step of a slice is 0");
  if (!object.is_text()) {
    const auto& items = object.sequence()->items;
    std::vector<Value> taken;
    for (const auto at : positions(static_cast<std::int64_t>(items.size()), begin, end, stride))
      taken.push_back(items[at]);
    return list(std::move(taken), object.sequence()->kind);
  }
  spend(1 + static_cast<std::int64_t>(object.bytes().size() / 4));
  const std::vector<char32_t> points = points_of(object.bytes());
  std::string taken;
  for (const auto at : positions(static_cast<std::int64_t>(points.size()), begin, end, stride))
    append_point(taken, points[at]);
  return text(std::move(taken), object.markup());
}

std::shared_ptr<const Sequence> Evaluator::iterate(const Value& value) {
  if (const auto* sequence = value.as<std::shared_ptr<const Sequence>>()) {
    if ((*sequence)->kind != Sequence::Kind::generator) return *sequence;
    const Sequence& all = **sequence;
    Sequence rest{.items = {all.items.begin() + static_cast<std::ptrdiff_t>(all.taken), all.items.end()}};
    all.taken = all.items.size();
    spend(1 + static_cast<std::int64_t>(rest.items.size()));
    return std::make_shared<const Sequence>(std::move(rest));
  }
  Sequence parts;
  if (value.is_text()) {
    const std::string& bytes = value.bytes();
    spend(1 + 4 * static_cast<std::int64_t>(bytes.size()));
    for (std::size_t at = 0; at < bytes.size();) {
      const std::size_t begin = at;
      next_point(bytes, at);
      parts.items.push_back(Value::text(bytes.substr(begin, at - begin)));
    }
  } else if (const auto* dict = value.dict()) {
    spend(1 + static_cast<std::int64_t>(dict->entries.size()));
    for (const auto& entry : dict->entries) parts.items.push_back(entry.first);
  } else if (!value.is_undefined()) {
    throw Fault(std::string("'") + type_name(value) + "' cannot be gone through");
  }
  return std::make_shared<const Sequence>(std::move(parts));
}

bool Evaluator::contains(const Value& container, const Value& value) {
  spend(weight_of(container));
  if (container.is_text()) {
    if (value.is_undefined()) throw Fault(value.as<Undefined>()->message());
    if (!value.is_text()) throw Fault(std::string("'in' looks for a ") + type_name(value) + " in a text");
    return find_text(container.bytes(), value.bytes()) != std::string_view::npos;
  }
  if (const auto* dict = container.dict()) return dict->find(value) != nullptr;
  const auto items = iterate(container);
  return std::any_of(items->items.begin(), items->items.end(), [&](const Value& one) {
    spend(std::min(weight_of(one), weight_of(value)));
    return equal(one, value);
  });
}

Value Evaluator::loop_attribute(Loop& loop, const std::string& name) {
  const auto at = static_cast<std::int64_t>(loop.at), size = static_cast<std::int64_t>(loop.items->items.size());
  if (name == "index0") return {at};
  if (name == "index") return {at + 1};
  if (name == "first") return {at == 0};
  if (name == "last") return {at + 1 >= size};
  if (name == "length") return {size};
  if (name == "revindex") return {size - at};
  if (name == "revindex0") return {size - at - 1};
  if (name == "depth") return {std::int64_t{1}};  // of loops that are not recursive
  if (name == "depth0") return {std::int64_t{0}};
  if (name == "previtem")
    return at > 0 && at <= size ? loop.items->items[loop.at - 1]
                                : Value(Undefined{.owner = "there is no previous item"});
  if (name == "nextitem")
    return at + 1 < size ? loop.items->items[loop.at + 1] : Value(Undefined{.owner = "there is no next item"});
  if (name == "cycle" || name == "changed") {
    Callable callable;
    callable.self = Value(&loop);
    callable.method = std::make_shared<const std::string>(name);
    return {std::make_shared<const Callable>(std::move(callable))};
  }
  return {};
}

}  // namespace finetune::jinja
