#include "data/jinja/tests.h"

#include <algorithm>
#include <vector>

#include "data/jinja/filters.h"
#include "data/jinja/printing.h"
#include "data/jinja/unicode.h"

namespace finetune::jinja {
namespace {

template <typename T>
bool is(Evaluator&, const Value& value, const Bound&) {
  return value.is<T>();
}

template <Operator op>
bool compares(Evaluator& e, const Value& value, const Bound& arguments) {
  return truthy(e.binary(op, value, *arguments[0]));
}

template <bool wanted>
bool is_exactly(Evaluator&, const Value& value, const Bound&) {
  return value.is<bool>() && *value.as<bool>() == wanted;
}

template <bool wanted>
bool defined(Evaluator&, const Value& value, const Bound&) {
  return value.is_undefined() != wanted;
}

template <int rest>
bool divides(Evaluator& e, const Value& value, const Bound&) {
  return equal(e.binary(Operator::mod, value, Value(std::int64_t{2})), Value(std::int64_t{rest}));
}

bool divisible_by(Evaluator& e, const Value& value, const Bound& arguments) {
  return equal(e.binary(Operator::mod, value, *arguments[0]), Value(std::int64_t{0}));
}

bool number(Evaluator&, const Value& value, const Bound&) {
  double ignored = 0;
  return value.number(ignored);
}

bool iterable(Evaluator&, const Value& value, const Bound&) {
  return value.is_undefined() || value.is_text() || value.dict() != nullptr || value.sequence() != nullptr;
}

// What has a length and can be indexed.
bool sequence(Evaluator&, const Value& value, const Bound&) {
  const auto* items = value.sequence();
  return value.is_undefined() || value.is_text() || value.dict() != nullptr ||
         (items != nullptr && items->kind != Sequence::Kind::generator && items->kind < Sequence::Kind::keys);
}

bool callable(Evaluator&, const Value& value, const Bound&) {
  return value.is_undefined() || value.is<std::shared_ptr<const Callable>>();
}

bool mapping(Evaluator&, const Value& value, const Bound&) {
  return value.dict() != nullptr;
}

// str.islower, str.isupper: all that has a case has this one, and something has.
template <bool (*wanted)(char32_t)>
bool in_case(Evaluator& e, const Value& value, const Bound&) {
  e.spend(weight_of(value));
  const std::string text = text_of(value);
  bool any = false;
  for (std::size_t at = 0; at < text.size();) {
    const char32_t c = next_point(text, at);
    if (is_cased(c) && !wanted(c)) return false;
    any = any || wanted(c);
  }
  return any;
}

// Identity: of values that have none here, equality within a type.
bool same_as(Evaluator&, const Value& value, const Bound& arguments) {
  const Value& other = *arguments[0];
  if (value.data().index() != other.data().index()) return false;
  if (value.sequence() != nullptr) return value.sequence() == other.sequence();
  if (value.dict() != nullptr) return value.dict() == other.dict();
  return equal(value, other);
}

bool is_filter(Evaluator&, const Value& value, const Bound&) {
  return value.is_text() && find_filter(value.bytes()) != nullptr;
}

bool is_test(Evaluator&, const Value& value, const Bound&) {
  return value.is_text() && find_test(value.bytes()) != nullptr;
}

bool is_escaped(Evaluator&, const Value& value, const Bound&) {
  return value.markup();
}

const std::vector<TestEntry>& all_tests() {
  static const Signature kOne{{"other"}, 1};
  static const std::vector<TestEntry> kTests = {
      {"!=", kOne, compares<Operator::ne>},
      {"<", kOne, compares<Operator::lt>},
      {"<=", kOne, compares<Operator::le>},
      {"==", kOne, compares<Operator::eq>},
      {">", kOne, compares<Operator::gt>},
      {">=", kOne, compares<Operator::ge>},
      {"boolean", {}, is<bool>},
      {"callable", {}, callable},
      {"defined", {}, defined<true>},
      {"divisibleby", {{"num"}, 1}, divisible_by},
      {"eq", kOne, compares<Operator::eq>},
      {"equalto", kOne, compares<Operator::eq>},
      {"escaped", {}, is_escaped},
      {"even", {}, divides<0>},
      {"false", {}, is_exactly<false>},
      {"filter", {}, is_filter},
      {"float", {}, is<double>},
      {"ge", kOne, compares<Operator::ge>},
      {"greaterthan", kOne, compares<Operator::gt>},
      {"gt", kOne, compares<Operator::gt>},
      {"in", {{"seq"}, 1}, compares<Operator::in>},
      {"integer", {}, is<std::int64_t>},
      {"iterable", {}, iterable},
      {"le", kOne, compares<Operator::le>},
      {"lessthan", kOne, compares<Operator::lt>},
      {"lower", {}, in_case<is_lower>},
      {"lt", kOne, compares<Operator::lt>},
      {"mapping", {}, mapping},
      {"ne", kOne, compares<Operator::ne>},
      {"none", {}, is<None>},
      {"number", {}, number},
      {"odd", {}, divides<1>},
      {"sameas", kOne, same_as},
      {"sequence", {}, sequence},
      {"string", {}, is<Text>},
      {"test", {}, is_test},
      {"true", {}, is_exactly<true>},
      {"undefined", {}, defined<false>},
      {"upper", {}, in_case<is_upper>},
  };
  return kTests;
}

}  // namespace

const TestEntry* find_test(const std::string& name) {
  const auto& tests = all_tests();
  const auto found = std::find_if(tests.begin(), tests.end(), [&](const auto& entry) { return entry.name == name; });
  return found == tests.end() ? nullptr : &*found;
}

}  // namespace finetune::jinja
