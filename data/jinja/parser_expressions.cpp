// Expressions, in Jinja's order of precedence.
#include <algorithm>
#include <charconv>

#include "core/number.h"
#include "data/jinja/filters.h"
#include "data/jinja/parser.h"
#include "data/jinja/tests.h"

namespace finetune::jinja {
namespace {

// Real templates nest a dozen deep; recursion here and in the evaluator stays far from the end of an 8 MiB stack.
constexpr int kDeepestTree = 400, kDeepestNesting = 150;

}  // namespace

Parser::Nested::Nested(Parser& parser) : parser_(parser) {
  if (++parser.nesting_ > kDeepestNesting) {
    --parser.nesting_;
    parser.fail("nested too deep");
  }
}

Expr Parser::node(Expr::Kind kind, std::vector<Expr> children) {
  Expr made;
  made.kind = kind;
  made.line = children.empty() ? peek().line : children.front().line;
  for (const auto& child : children) made.depth = std::max(made.depth, child.depth + 1);
  if (made.depth > kDeepestTree) fail("an expression is too long");
  made.children = std::move(children);
  return made;
}

Expr Parser::binary(Operator op, Expr left, Expr right) {
  std::vector<Expr> children;
  children.push_back(std::move(left));
  children.push_back(std::move(right));
  Expr made = node(Expr::Kind::binary, std::move(children));
  made.op = op;
  return made;
}

int Parser::symbol(const std::string& name) {
  const auto [place, added] = numbers_.try_emplace(name, static_cast<int>(tree_.symbols.size()));
  if (added) tree_.symbols.push_back(name);
  return place->second;
}

Expr Parser::name_node(const std::string& name) {
  for (Macro* macro : open_macros_) {
    macro->varargs = macro->varargs || name == "varargs";
    macro->kwargs = macro->kwargs || name == "kwargs";
    macro->caller = macro->caller || name == "caller";
  }
  Expr made = node(Expr::Kind::name);
  made.symbol = symbol(name);
  made.value = Value(Undefined{.name = std::make_shared<const std::string>(name)});
  return made;
}

Expr Parser::expression() {
  const Nested nested(*this);
  Expr value = disjunction();
  while (skip_name("if")) {
    std::vector<Expr> children;
    children.push_back(disjunction());
    children.push_back(std::move(value));
    if (skip_name("else")) children.push_back(expression());
    value = node(Expr::Kind::conditional, std::move(children));
  }
  return value;
}

namespace {

std::vector<Expr> pair_of(Expr left, Expr right) {
  std::vector<Expr> children;
  children.push_back(std::move(left));
  children.push_back(std::move(right));
  return children;
}

}  // namespace

Expr Parser::disjunction() {
  Expr left = conjunction();
  while (skip_name("or")) left = node(Expr::Kind::logical_or, pair_of(std::move(left), conjunction()));
  return left;
}

Expr Parser::conjunction() {
  Expr left = negation();
  while (skip_name("and")) left = node(Expr::Kind::logical_and, pair_of(std::move(left), negation()));
  return left;
}

Expr Parser::negation() {
  if (!skip_name("not")) return comparison();
  const Nested nested(*this);
  std::vector<Expr> children;
  children.push_back(negation());
  return node(Expr::Kind::logical_not, std::move(children));
}

Expr Parser::comparison() {
  static const std::vector<std::pair<std::string_view, Operator>> kOperators = {
      {"==", Operator::eq}, {"!=", Operator::ne}, {"<=", Operator::le},
      {">=", Operator::ge}, {"<", Operator::lt},  {">", Operator::gt}};
  std::vector<Expr> children;
  std::vector<Operator> operators;
  children.push_back(sum());
  while (true) {
    const auto found =
        std::find_if(kOperators.begin(), kOperators.end(), [&](const auto& o) { return is_op(o.first); });
    if (found != kOperators.end()) {
      take();
      operators.push_back(found->second);
    } else if (skip_name("in")) {
      operators.push_back(Operator::in);
    } else if (is_name("not") && is_name("in", 1)) {
      take(), take();
      operators.push_back(Operator::not_in);
    } else {
      break;
    }
    children.push_back(sum());
  }
  if (operators.empty()) return std::move(children.front());
  Expr made = node(Expr::Kind::compare, std::move(children));
  made.operators = std::move(operators);
  return made;
}

Expr Parser::sum() {
  Expr left = concatenation();
  while (is_op("+") || is_op("-")) {
    const Operator op = take().text == "+" ? Operator::add : Operator::sub;
    left = binary(op, std::move(left), concatenation());
  }
  return left;
}

Expr Parser::concatenation() {
  std::vector<Expr> parts;
  parts.push_back(product());
  while (skip_op("~")) parts.push_back(product());
  return parts.size() == 1 ? std::move(parts.front()) : node(Expr::Kind::concat, std::move(parts));
}

Expr Parser::product() {
  Expr left = power();
  while (is_op("*") || is_op("/") || is_op("//") || is_op("%")) {
    const std::string text = take().text;
    const Operator op = text == "*"    ? Operator::mul
                        : text == "/"  ? Operator::div
                        : text == "//" ? Operator::floordiv
                                       : Operator::mod;
    left = binary(op, std::move(left), power());
  }
  return left;
}

Expr Parser::power() {
  Expr left = unary(true);
  while (skip_op("**")) left = binary(Operator::pow, std::move(left), unary(true));
  return left;
}

Expr Parser::unary(bool with_filters) {
  const Nested nested(*this);
  Expr value;
  if (is_op("-") || is_op("+")) {
    const bool minus = take().text == "-";
    std::vector<Expr> children;
    children.push_back(unary(false));
    value = node(minus ? Expr::Kind::negative : Expr::Kind::positive, std::move(children));
  } else {
    value = primary();
  }
  value = postfix(std::move(value));
  return with_filters ? filters_and_tests(std::move(value)) : std::move(value);
}

Expr Parser::primary() {
  switch (peek().kind) {
    case Token::Kind::text:
      return text();
    case Token::Kind::integer:
    case Token::Kind::real:
      return number();
    case Token::Kind::op:
      if (is_op("(")) return parenthesised();
      if (is_op("[")) return list();
      if (is_op("{")) return dict();
      unexpected();
    case Token::Kind::name: {
      Expr made = node(Expr::Kind::constant);
      const std::string name = take().text;
      if (name == "true" || name == "True" || name == "false" || name == "False")
        made.value = Value(name.back() == 'e' && name.size() == 4);
      else if (name == "none" || name == "None")
        made.value = Value(None{});
      else
        return name_node(name);
      return made;
    }
    default:
      unexpected();
  }
}

Expr Parser::text() {
  Expr made = node(Expr::Kind::constant);
  std::string bytes;
  while (peek().kind == Token::Kind::text) bytes += take().text;  // neighbours are joined
  made.value = Value::text(std::move(bytes));
  return made;
}

Expr Parser::number() {
  Expr made = node(Expr::Kind::constant);
  const Token token = take();
  if (token.kind == Token::Kind::real) {
    made.value = Value(number_from_text(token.text).value_or(0));
    return made;
  }
  std::int64_t whole = 0;
  const auto [end, error] = std::from_chars(token.text.data(), token.text.data() + token.text.size(), whole);
  if (error != std::errc()) fail("the number " + token.text.substr(0, 40) + " is outside 64 bits");
  made.value = Value(whole);
  return made;
}

Expr Parser::parenthesised() {
  take();
  if (skip_op(")")) return node(Expr::Kind::tuple);
  Expr inside = tuple(true, [this] { return is_op(")"); });
  expect_op(")");
  return inside;
}

Expr Parser::list() {
  take();
  std::vector<Expr> items;
  while (!is_op("]")) {
    items.push_back(expression());
    if (!skip_op(",")) break;
  }
  expect_op("]");
  return node(Expr::Kind::list, std::move(items));
}

Expr Parser::dict() {
  take();
  std::vector<Expr> items;
  while (!is_op("}")) {
    items.push_back(expression());
    expect_op(":");
    items.push_back(expression());
    if (!skip_op(",")) break;
  }
  expect_op("}");
  return node(Expr::Kind::dict, std::move(items));
}

Expr Parser::tuple(bool conditional, const std::function<bool()>& ends) {
  std::vector<Expr> items;
  items.push_back(conditional ? expression() : disjunction());
  if (!is_op(",")) return std::move(items.front());
  const auto at_end = [&] {
    const auto kind = peek().kind;
    return kind == Token::Kind::variable_end || kind == Token::Kind::block_end || (ends && ends());
  };
  while (skip_op(",") && !at_end()) items.push_back(conditional ? expression() : disjunction());
  return node(Expr::Kind::tuple, std::move(items));
}

Expr Parser::postfix(Expr base) {
  while (true) {
    if (is_op(".") || is_op("[")) {
      base = subscript(std::move(base));
    } else if (is_op("(")) {
      std::vector<Expr> children;
      children.push_back(std::move(base));
      base = node(Expr::Kind::call, std::move(children));
      arguments(base);
    } else {
      return base;
    }
  }
}

Expr Parser::filters_and_tests(Expr base) {
  while (true) {
    if (skip_op("|")) {
      base = filter(std::move(base));
    } else if (skip_name("is")) {
      base = test(std::move(base));
    } else if (is_op("(")) {
      std::vector<Expr> children;
      children.push_back(std::move(base));
      base = node(Expr::Kind::call, std::move(children));
      arguments(base);
    } else {
      return base;
    }
  }
}

Expr Parser::subscript(Expr base) {
  std::vector<Expr> children;
  children.push_back(std::move(base));
  if (skip_op("[")) {
    Expr made = slice_part(std::move(children.front()));
    expect_op("]");
    return made;
  }
  take();
  if (peek().kind == Token::Kind::integer) {
    children.push_back(number());
    return node(Expr::Kind::item, std::move(children));
  }
  const int line = peek().line;
  const std::string name = expect_name();
  Expr made = node(Expr::Kind::attribute, std::move(children));
  made.line = line;
  made.value = Value::text(name);
  return made;
}

// base[index], base[a, b] or base[begin:end:step], after the bracket.
Expr Parser::slice_part(Expr base) {
  const auto absent = [this] {
    Expr made = node(Expr::Kind::constant);
    made.value = Value(None{});
    return made;
  };
  std::vector<Expr> children;
  children.push_back(std::move(base));
  if (!is_op(":")) {
    children.push_back(tuple(true, [this] { return is_op("]"); }));
    if (!is_op(":")) return node(Expr::Kind::item, std::move(children));
  } else {
    children.push_back(absent());
  }
  for (int part = 0; part < 2; ++part) {
    const bool here = skip_op(":");
    children.push_back(!here || is_op(":") || is_op("]") ? absent() : expression());
  }
  return node(Expr::Kind::slice, std::move(children));
}

Expr Parser::filter(Expr base) {
  std::vector<Expr> children;
  children.push_back(std::move(base));
  const int line = peek().line;
  std::string name = expect_name();
  while (skip_op(".")) name += "." + expect_name();
  Expr made = node(Expr::Kind::filter, std::move(children));
  made.line = line;
  made.name = name;
  made.filter = find_filter(name);
  if (is_op("(")) arguments(made);
  return made;
}

Expr Parser::test(Expr base) {
  const bool negated = skip_name("not");
  std::vector<Expr> children;
  children.push_back(std::move(base));
  const int line = peek().line;
  std::string name = expect_name();
  while (skip_op(".")) name += "." + expect_name();
  Expr made = node(Expr::Kind::test, std::move(children));
  made.line = line;
  made.name = name;
  made.test = find_test(name);
  const Token& next = peek();
  const bool starts_value = next.kind == Token::Kind::name || next.kind == Token::Kind::text ||
                            next.kind == Token::Kind::integer || next.kind == Token::Kind::real || is_op("[") ||
                            is_op("{");
  if (is_op("(")) {
    arguments(made);
  } else if (starts_value && !is_name("else") && !is_name("or") && !is_name("and")) {
    if (is_name("is")) fail("tests cannot be chained with is");
    made.children.push_back(postfix(primary()));
  }
  if (!negated) return made;
  std::vector<Expr> inner;
  inner.push_back(std::move(made));
  return node(Expr::Kind::logical_not, std::move(inner));
}

void Parser::arguments(Expr& call) {
  expect_op("(");
  while (!is_op(")")) {
    if (skip_op("**")) {
      call.keywords.push_back({"", expression()});
      call.depth = std::max(call.depth, call.keywords.back().value.depth + 1);
    } else if (skip_op("*")) {
      std::vector<Expr> inner;
      inner.push_back(expression());
      call.children.push_back(node(Expr::Kind::spread, std::move(inner)));
      call.depth = std::max(call.depth, call.children.back().depth + 1);
    } else if (peek().kind == Token::Kind::name && is_op("=", 1)) {
      std::string name = take().text;
      take();
      call.keywords.push_back({std::move(name), expression()});
      call.depth = std::max(call.depth, call.keywords.back().value.depth + 1);
    } else {
      if (!call.keywords.empty()) fail("an argument by position stands after one by name");
      call.children.push_back(expression());
      call.depth = std::max(call.depth, call.children.back().depth + 1);
    }
    if (!skip_op(",")) break;
  }
  expect_op(")");
  if (call.depth > kDeepestTree) fail("an expression is too long");
}

}  // namespace finetune::jinja
