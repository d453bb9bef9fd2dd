// Arithmetic and comparison with Python's rules.
#include <cmath>

#include "data/jinja/evaluator.h"
#include "data/jinja/printf.h"
#include "data/jinja/text_filters.h"

namespace finetune::jinja {
namespace {

[[noreturn]] void cannot(const char* op, const Value& a, const Value& b) {
  for (const Value* side : {&a, &b}) {
    if (side->is_undefined()) throw Fault(side->as<Undefined>()->message());
  }
  throw Fault(std::string(op) + " is not for '" + type_name(a) + "' and '" + type_name(b) + "'");
}

void refuse_overflow(bool overflow) {
  if (overflow) throw Fault("a number is outside 64 bits");
}

std::int64_t floor_div(std::int64_t a, std::int64_t b) {
  refuse_overflow(a == INT64_MIN && b == -1);
  const std::int64_t quotient = a / b;
  return quotient - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0);
}

std::int64_t power(std::int64_t base, std::int64_t exponent) {
  std::int64_t result = 1;
  for (std::int64_t i = 0; i < exponent && result != 0 && !(base == 1); ++i) {
    if (base == -1) return exponent % 2 == 0 ? 1 : -1;
    refuse_overflow(__builtin_mul_overflow(result, base, &result));
  }
  return result;
}

Value whole_arithmetic(Operator op, std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  if (op == Operator::add || op == Operator::sub || op == Operator::mul) {
    refuse_overflow(op == Operator::add   ? __builtin_add_overflow(a, b, &result)
                    : op == Operator::sub ? __builtin_sub_overflow(a, b, &result)
                                          : __builtin_mul_overflow(a, b, &result));
    return {result};
  }
  if (op == Operator::pow) {
    if (b >= 0) return {power(a, b)};
    if (a == 0) throw Fault("0 has no negative power");
    return {std::pow(static_cast<double>(a), static_cast<double>(b))};
  }
  if (b == 0) throw Fault("division by zero");
  if (op == Operator::div) return {static_cast<double>(a) / static_cast<double>(b)};
  const std::int64_t quotient = floor_div(a, b);
  return op == Operator::floordiv ? Value(quotient) : Value(a - quotient * b);
}

Value real_arithmetic(Operator op, double a, double b) {
  if (op == Operator::add) return {a + b};
  if (op == Operator::sub) return {a - b};
  if (op == Operator::mul) return {a * b};
  if (op == Operator::pow) {
    if (a == 0 && b < 0) throw Fault("0 has no negative power");
    if (a < 0 && b != std::floor(b)) throw Fault("a power is not a real number");
    const double result = std::pow(a, b);
    if (std::isinf(result) && !std::isinf(a) && !std::isinf(b)) throw Fault("a power is too large");
    return {result};
  }
  if (b == 0) throw Fault("division by zero");
  if (op == Operator::div) return {a / b};
  double rest = std::fmod(a, b);  // as CPython's float_divmod
  double quotient = (a - rest) / b;
  if (rest != 0 && (b < 0) != (rest < 0)) {
    rest += b;
    quotient -= 1;
  } else if (rest == 0) {
    rest = std::copysign(0.0, b);
  }
  if (op == Operator::mod) return {rest};
  if (quotient == 0) return {std::copysign(0.0, a / b)};
  const double whole = std::floor(quotient);
  return {quotient - whole > 0.5 ? whole + 1 : whole};
}

Value repeated(Evaluator& evaluator, const Value& value, std::int64_t times) {
  if (times < 0) times = 0;
  const auto size = static_cast<std::int64_t>(value.is_text() ? value.bytes().size() : value.sequence()->items.size());
  if (size > 0 && times > evaluator.limits().work / size) throw Fault("a repeated value is too long");
  if (value.is_text()) {
    evaluator.spend(size * times / 16);
    std::string out;
    for (std::int64_t i = 0; i < (size > 0 ? times : 0); ++i) out += value.bytes();
    return evaluator.text(std::move(out), value.markup());
  }
  evaluator.spend(2 * size * times);
  std::vector<Value> items;
  for (std::int64_t i = 0; i < (size > 0 ? times : 0); ++i)
    items.insert(items.end(), value.sequence()->items.begin(), value.sequence()->items.end());
  return evaluator.list(std::move(items), value.sequence()->kind);
}

bool is_list(const Value& value) {
  return value.sequence() != nullptr && value.sequence()->kind <= Sequence::Kind::tuple;
}

Value sum_of(Evaluator& evaluator, const Value& a, const Value& b) {
  if (a.is_text() && b.is_text()) {
    if (a.markup() == b.markup()) return evaluator.text(a.bytes() + b.bytes(), a.markup());
    return evaluator.text(a.markup() ? a.bytes() + escaped(b.bytes()) : escaped(a.bytes()) + b.bytes(), true);
  }
  if (!is_list(a) || !is_list(b) || a.sequence()->kind != b.sequence()->kind) cannot("+", a, b);
  std::vector<Value> items = a.sequence()->items;
  items.insert(items.end(), b.sequence()->items.begin(), b.sequence()->items.end());
  return evaluator.list(std::move(items), a.sequence()->kind);
}

Value arithmetic(Evaluator& evaluator, Operator op, const Value& a, const Value& b) {
  static constexpr const char* kSigns[] = {"+", "-", "*", "/", "//", "%", "**"};
  std::int64_t left = 0, right = 0;
  double left_real = 0, right_real = 0;
  const bool left_whole = a.whole(left), right_whole = b.whole(right);
  if (left_whole && right_whole) return whole_arithmetic(op, left, right);
  if (a.number(left_real) && b.number(right_real)) return real_arithmetic(op, left_real, right_real);
  if (op == Operator::add) return sum_of(evaluator, a, b);
  if (op == Operator::mul && right_whole && (a.is_text() || is_list(a))) return repeated(evaluator, a, right);
  if (op == Operator::mul && left_whole && (b.is_text() || is_list(b))) return repeated(evaluator, b, left);
  if (op == Operator::mod && a.is_text()) return formatted(evaluator, a, b);
  cannot(kSigns[static_cast<int>(op)], a, b);
}

}  // namespace

Value Evaluator::binary(Operator op, const Value& a, const Value& b) {
  if (op < Operator::eq) return arithmetic(*this, op, a, b);
  if (op == Operator::in) return {contains(b, a)};
  if (op == Operator::not_in) return {!contains(b, a)};
  spend(std::min(weight_of(a), weight_of(b)));
  if (op == Operator::eq) return {equal(a, b)};
  if (op == Operator::ne) return {!equal(a, b)};
  double left = 0, right = 0;
  if (a.number(left) && b.number(right) && (left != left || right != right)) return {false};  // NaN
  const int order = compare(a, b);
  if (op == Operator::lt) return {order < 0};
  if (op == Operator::le) return {order <= 0};
  return {op == Operator::gt ? order > 0 : order >= 0};
}

}  // namespace finetune::jinja
