#include "data/jinja/printf.h"

#include <cmath>
#include <cstdio>

#include "data/jinja/printing.h"
#include "data/jinja/unicode.h"

namespace finetune::jinja {
namespace {

struct Piece {
  std::string name;  // of %(name)s
  bool left = false, zero = false, plus = false, blank = false;
  std::size_t width = 0;
  int precision = -1;
  char kind = 's';
};

constexpr std::size_t kWidest = 10'000;  // characters; a wider field is a mistake or an attack

class Pieces {
 public:
  explicit Pieces(const std::string& pattern) : pattern_(pattern) {}

  // The text before the next piece goes to `out`; false: there is no more.
  bool next(std::string& out, Piece& piece) {
    while (at_ < pattern_.size()) {
      const char c = pattern_[at_++];
      if (c != '%') {
        out += c;
      } else if (at_ < pattern_.size() && pattern_[at_] == '%') {
        out += pattern_[at_++];
      } else {
        piece = read();
        return true;
      }
    }
    return false;
  }

 private:
  char peek() const {
    if (at_ >= pattern_.size()) throw Fault("a % in a format is not complete");
    return pattern_[at_];
  }

  std::size_t number() {
    std::size_t value = 0;
    while (peek() >= '0' && peek() <= '9') {
      value = value * 10 + static_cast<std::size_t>(pattern_[at_++] - '0');
      if (value > kWidest) throw Fault("a format is too wide");
    }
    return value;
  }

  Piece read() {
    Piece piece;
    if (peek() == '(') {
      const std::size_t end = pattern_.find(')', at_);
      if (end == std::string::npos) throw Fault("a % in a format is not complete");
      piece.name = pattern_.substr(at_ + 1, end - at_ - 1);
      at_ = end + 1;
    }
    for (; std::string_view("-+ 0").find(peek()) != std::string_view::npos; ++at_) {
      piece.left = piece.left || peek() == '-';
      piece.zero = piece.zero || peek() == '0';
      piece.plus = piece.plus || peek() == '+';
      piece.blank = piece.blank || peek() == ' ';
    }
    piece.width = number();
    if (peek() == '.') {
      ++at_;
      piece.precision = static_cast<int>(number());
    }
    piece.kind = peek();
    ++at_;
    return piece;
  }

  const std::string& pattern_;
  std::size_t at_ = 0;
};

std::string digits_of(const Piece& piece, double number) {
  const char format[] = {'%', '.', '*', piece.kind, '\0'};
  const int precision = piece.precision < 0 ? 6 : piece.precision;
  std::string out(static_cast<std::size_t>(std::snprintf(nullptr, 0, format, precision, std::fabs(number))), '\0');
  std::snprintf(out.data(), out.size() + 1, format, precision, std::fabs(number));
  return out;
}

std::string digits_of(const Piece& piece, std::int64_t number) {
  const std::uint64_t size = number < 0 ? -static_cast<std::uint64_t>(number) : static_cast<std::uint64_t>(number);
  const unsigned base = piece.kind == 'x' || piece.kind == 'X' ? 16 : piece.kind == 'o' ? 8 : 10;
  const std::string_view digits = piece.kind == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
  std::string out;
  for (std::uint64_t rest = size; rest > 0 || out.empty(); rest /= base) out.insert(out.begin(), digits[rest % base]);
  while (static_cast<int>(out.size()) < piece.precision) out.insert(out.begin(), '0');
  return out;
}

std::string number_text(const Piece& piece, const Value& value) {
  double real = 0;
  std::int64_t whole = 0;
  const bool wants_real = std::string_view("eEfFgG").find(piece.kind) != std::string_view::npos;
  if (!value.number(real)) throw Fault(std::string("%") + piece.kind + " wants a number, not a " + type_name(value));
  if (!wants_real && !value.whole(whole)) {
    if (std::string_view("diu").find(piece.kind) == std::string_view::npos || !(std::fabs(real) < 9e18))
      throw Fault(std::string("%") + piece.kind + " wants a whole number");
    whole = static_cast<std::int64_t>(real);
  }
  const bool negative = wants_real ? std::signbit(real) : whole < 0;
  std::string digits = wants_real ? digits_of(piece, real) : digits_of(piece, whole);
  const std::string sign = negative ? "-" : piece.plus ? "+" : piece.blank ? " " : "";
  if (piece.zero && !piece.left && digits.size() + sign.size() < piece.width)
    digits.insert(0, piece.width - digits.size() - sign.size(), '0');
  return sign + digits;
}

std::string piece_text(const Piece& piece, const Value& value) {
  if (std::string_view("diueEfFgGxXo").find(piece.kind) != std::string_view::npos) return number_text(piece, value);
  if (piece.kind != 's' && piece.kind != 'r')
    throw Fault(std::string("%") + piece.kind + " in a format is not interpreted");
  std::string out = piece.kind == 'r' ? repr_of(value) : text_of(value);
  if (piece.precision >= 0) out.resize(byte_offset(out, static_cast<std::size_t>(piece.precision)));
  return out;
}

}  // namespace

Value formatted(Evaluator& evaluator, const Value& pattern, const Value& values) {
  evaluator.spend(weight_of(values));
  const Sequence* tuple = values.sequence();
  if (tuple != nullptr && tuple->kind != Sequence::Kind::tuple) tuple = nullptr;
  std::string out;
  std::size_t used = 0;
  Piece piece;
  for (Pieces pieces(pattern.bytes()); pieces.next(out, piece);) {
    const Value* value = &values;
    if (!piece.name.empty()) {
      value = values.dict() == nullptr ? nullptr : values.dict()->find(std::string_view(piece.name));
    } else {
      if (tuple != nullptr) value = used < tuple->items.size() ? &tuple->items[used] : nullptr;
      if (tuple == nullptr && used > 0) value = nullptr;
      ++used;
    }
    if (value == nullptr) throw Fault("a format has more % than values");
    evaluator.spend(1 + weight_of(*value));
    const std::string made = piece_text(piece, *value);
    const std::size_t size = count_points(made), blanks = piece.width > size ? piece.width - size : 0;
    if (out.size() + made.size() + blanks > evaluator.limits().output) throw Fault("a text is too long");
    evaluator.spend(static_cast<std::int64_t>(blanks / 16));
    out += piece.left ? made + std::string(blanks, ' ') : std::string(blanks, ' ') + made;
  }
  if (tuple != nullptr ? used < tuple->items.size() : (used == 0 && values.dict() == nullptr))
    throw Fault("a format has fewer % than values");
  return evaluator.text(std::move(out), pattern.markup());
}

}  // namespace finetune::jinja
