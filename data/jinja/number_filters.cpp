// Filters about numbers, and those for a single value of any kind.
#include <charconv>
#include <cmath>

#include "core/number.h"
#include "data/jinja/filters.h"
#include "data/jinja/printing.h"
#include "data/jinja/unicode.h"

namespace finetune::jinja {
namespace {

// Digits as Python's int() and float() take them: stripped, _ between digits.
std::string digits_of(const std::string& bytes) {
  std::string out;
  const std::string_view text = strip_left(strip_right(bytes));
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto digit = [&](std::size_t at) { return at < text.size() && text[at] >= '0' && text[at] <= '9'; };
    if (text[i] == '_' && i > 0 && digit(i - 1) && digit(i + 1)) continue;
    out += text[i];
  }
  if (out.starts_with('+') && out.size() > 1 && out[1] != '-') out.erase(0, 1);
  return out;
}

bool whole_from(const std::string& bytes, int base, std::int64_t& number) {
  std::string digits = digits_of(bytes);
  if (base == 16 && (digits.starts_with("0x") || digits.starts_with("0X"))) digits.erase(0, 2);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number, base);
  if (error == std::errc::result_out_of_range) throw Fault("a number is outside 64 bits");
  return error == std::errc() && end == digits.data() + digits.size() && !digits.empty();
}

bool real_from(const Value& value, double& number) {
  if (value.number(number)) return true;
  if (!value.is_text()) return false;
  const std::string digits = digits_of(value.bytes());
  const std::string lower = to_lower(digits);
  const bool negative = lower.starts_with('-');
  if (const std::string word = lower.substr(negative ? 1 : 0); word == "inf" || word == "infinity" || word == "nan") {
    number = word == "nan" ? std::nan("") : negative ? -HUGE_VAL : HUGE_VAL;
    return true;
  }
  if (digits.find_first_of("xXnN") != std::string::npos) return false;
  const auto found = number_from_text(digits);
  if (found) number = *found;
  return found.has_value();
}

void refuse_undefined(const Value& value) {
  if (value.is_undefined()) throw Fault(value.as<Undefined>()->message());
}

Value to_int(Evaluator&, const Value& input, const Bound& arguments) {
  refuse_undefined(input);
  std::int64_t number = 0;
  const std::int64_t base = arguments.whole(1, 10);
  if (base < 2 || base > 36) throw Fault("int wants a base of 2 to 36");
  if (input.whole(number)) return {number};
  if (input.is_text() && whole_from(input.bytes(), static_cast<int>(base), number)) return {number};
  double real = 0;
  if (real_from(input, real) && std::isfinite(real)) {
    if (std::fabs(real) >= 9e18) throw Fault("a number is outside 64 bits");
    return {static_cast<std::int64_t>(real)};
  }
  return arguments[0] == nullptr ? Value(std::int64_t{0}) : *arguments[0];
}

Value to_float(Evaluator&, const Value& input, const Bound& arguments) {
  refuse_undefined(input);
  double real = 0;
  if (real_from(input, real)) return {real};
  return arguments[0] == nullptr ? Value(0.0) : *arguments[0];
}

Value absolute(Evaluator& e, const Value& input, const Bound&) {
  refuse_undefined(input);
  if (const auto* real = input.as<double>()) return {std::fabs(*real)};
  std::int64_t number = 0;
  if (!input.whole(number)) throw Fault("abs wants a number");
  return number < 0 ? e.binary(Operator::sub, Value(std::int64_t{0}), Value(number)) : Value(number);
}

// Python's round(): to the nearest decimal number, halves (exact ones) to even.
double rounded(double number, std::int64_t digits) {
  if (!std::isfinite(number) || digits > 20) return number;
  if (digits < 0) {
    const double unit = std::pow(10.0, static_cast<double>(-digits));
    return std::nearbyint(number / unit) * unit;
  }
  char buffer[400];  // a double has at most 309 digits before the point
  const auto end =
      std::to_chars(buffer, buffer + sizeof buffer, number, std::chars_format::fixed, static_cast<int>(digits)).ptr;
  return number_from_text(std::string_view(buffer, static_cast<std::size_t>(end - buffer))).value_or(number);
}

Value round(Evaluator&, const Value& input, const Bound& arguments) {
  refuse_undefined(input);
  const std::int64_t precision = arguments.whole(0, 0);
  const std::string method = arguments.text(1, "common");
  double number = 0;
  if (!input.number(number)) throw Fault("round wants a number");
  if (method == "common") {
    std::int64_t whole = 0;
    if (input.whole(whole) && precision >= 0) return {whole};
    if (input.whole(whole)) throw Fault("round of a whole number to tens is not interpreted");
    return {rounded(number, precision)};
  }
  if (method != "ceil" && method != "floor") throw Fault("round wants common, ceil or floor");
  const double unit = std::pow(10.0, static_cast<double>(precision)), scaled = number * unit;
  return {(method == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / unit};
}

Value otherwise(Evaluator& e, const Value& input, const Bound& arguments) {
  const bool wanted = input.is_undefined() || (arguments.flag(1, false) && !truthy(input));
  if (!wanted) return input;
  return arguments[0] == nullptr ? e.text("") : *arguments[0];
}

Value attr(Evaluator& e, const Value& input, const Bound& arguments) {
  if (input.dict() != nullptr && input.dict()->find(std::string_view(arguments.text(0))) != nullptr)
    return {Undefined{.owner = "attr sees no keys of a dict"}};
  return e.attribute(input, arguments[0]->as<Text>()->bytes);
}

Value length(Evaluator&, const Value& input, const Bound&) {
  if (input.is_text()) return {static_cast<std::int64_t>(count_points(input.bytes()))};
  if (const auto* dict = input.dict()) return {static_cast<std::int64_t>(dict->entries.size())};
  const auto* sequence = input.sequence();
  if (sequence != nullptr && sequence->kind != Sequence::Kind::generator)
    return {static_cast<std::int64_t>(sequence->items.size())};
  if (input.is_undefined()) return {std::int64_t{0}};
  throw Fault(std::string("a value of type ") + type_name(input) + " has no length");
}

}  // namespace

std::span<const FilterEntry> number_filters() {
  static const std::vector<FilterEntry> kFilters = {
      {"abs", {}, absolute},
      {"attr", {{"name"}, 1}, attr},
      {"count", {}, length},
      {"d", {{"default_value", "boolean"}}, otherwise},
      {"default", {{"default_value", "boolean"}}, otherwise},
      {"float", {{"default"}}, to_float},
      {"int", {{"default", "base"}}, to_int},
      {"length", {}, length},
      {"round", {{"precision", "method"}}, round},
  };
  return kFilters;
}

}  // namespace finetune::jinja
