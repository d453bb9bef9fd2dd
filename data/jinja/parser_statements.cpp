// Statements and the text between them.
#include "data/jinja/parser.h"

namespace finetune::jinja {

Tree parse(std::string_view source) {
  const std::string text = normalized_source(source);
  return Parser(text).run();
}

Tree Parser::run() {
  tree_.body = body({});
  return std::move(tree_);
}

void Parser::fail(const std::string& what) const {
  throw LineFault(peek().line, what);
}

void Parser::unexpected() const {
  const Token& token = peek();
  switch (token.kind) {
    case Token::Kind::end:
      fail("the template ends too early");
    case Token::Kind::block_end:
    case Token::Kind::variable_end:
      fail("a tag ends too early");
    default:
      fail("unexpected '" + token.text.substr(0, 40) + "'");
  }
}

bool Parser::is_op(std::string_view op, std::size_t ahead) const {
  return peek(ahead).kind == Token::Kind::op && peek(ahead).text == op;
}

bool Parser::is_name(std::string_view name, std::size_t ahead) const {
  return peek(ahead).kind == Token::Kind::name && peek(ahead).text == name;
}

bool Parser::skip_op(std::string_view op) {
  return is_op(op) && (take(), true);
}

bool Parser::skip_name(std::string_view name) {
  return is_name(name) && (take(), true);
}

void Parser::expect_op(std::string_view op) {
  if (!skip_op(op)) unexpected();
}

std::string Parser::expect_name() {
  if (peek().kind != Token::Kind::name) unexpected();
  return take().text;
}

void Parser::end_block() {
  if (peek().kind != Token::Kind::block_end) unexpected();
  take();
}

// Up to a block that begins with one of `ends`, whose name is the next token then; to the end of the source if empty.
Body Parser::body(const std::vector<std::string_view>& ends) {
  const Nested nested(*this);
  Body made;
  const int macros = macros_;
  while (true) {
    const Token token = take();
    if (token.kind == Token::Kind::end) {
      if (ends.empty()) break;
      fail("the template ends before " + std::string(ends.front()));
    }
    if (token.kind == Token::Kind::data) {
      made.statements.push_back({.kind = Statement::Kind::text, .line = token.line, .text = token.text});
    } else if (token.kind == Token::Kind::variable_begin) {
      made.statements.push_back(output());
    } else {
      const std::string tag = peek().text;
      if (peek().kind == Token::Kind::name && std::find(ends.begin(), ends.end(), tag) != ends.end()) break;
      const int line = peek().line;
      expect_name();
      Statement next = statement(tag);
      next.line = line;
      made.statements.push_back(std::move(next));
    }
  }
  made.captured = macros_ > macros;
  return made;
}

Statement Parser::output() {
  Statement made{.kind = Statement::Kind::output, .line = peek().line};
  made.expressions.push_back(tuple(true));
  if (peek().kind != Token::Kind::variable_end) unexpected();
  take();
  return made;
}

Statement Parser::statement(const std::string& tag) {
  if (tag == "if") return branch();
  if (tag == "for") return loop();
  if (tag == "set") return assign();
  if (tag == "macro") return macro();
  if (tag == "call") return call_block();
  if (tag == "filter") return filter_block();
  if (tag == "generation") return generation();
  if (tag == "with") return with();
  if (tag == "break" || tag == "continue") {
    end_block();
    return {.kind = tag == "break" ? Statement::Kind::stop : Statement::Kind::next};
  }
  fail("the tag " + tag.substr(0, 40) + " is not interpreted here");
}

Statement Parser::branch() {
  Statement made{.kind = Statement::Kind::branch};
  do {
    made.expressions.push_back(tuple(false));
    end_block();
    made.bodies.push_back(body({"endif", "elif", "else"}));
  } while (skip_name("elif"));
  if (skip_name("else")) {
    end_block();
    made.bodies.push_back(body({"endif"}));
  }
  take();
  end_block();
  return made;
}

Statement Parser::loop() {
  Statement made{.kind = Statement::Kind::loop, .symbol = symbol("loop")};
  made.targets.push_back(target(false));
  if (!skip_name("in")) unexpected();
  made.expressions.push_back(tuple(false, [this] { return is_name("if") || is_name("recursive"); }));
  if (skip_name("if")) made.expressions.push_back(expression());
  if (is_name("recursive")) fail("recursive loops are not interpreted");
  end_block();
  made.bodies.push_back(body({"endfor", "else"}));
  if (skip_name("else")) {
    end_block();
    made.bodies.push_back(body({"endfor"}));
  }
  take();
  end_block();
  return made;
}

Expr Parser::single_target(bool with_namespace) {
  if (skip_op("(")) {
    Expr inner = target(false);
    expect_op(")");
    return inner;
  }
  Expr made = name_node(expect_name());
  if (!with_namespace || !skip_op(".")) return made;
  std::vector<Expr> children;
  children.push_back(std::move(made));
  Expr attribute = node(Expr::Kind::attribute, std::move(children));
  attribute.value = Value::text(expect_name());
  return attribute;
}

// name, name.attribute, or several with commas between.
Expr Parser::target(bool with_namespace) {
  const Nested nested(*this);
  std::vector<Expr> items;
  items.push_back(single_target(with_namespace));
  if (!is_op(",")) return std::move(items.front());
  while (skip_op(",") && (peek().kind == Token::Kind::name || is_op("(")) && !is_name("in"))
    items.push_back(single_target(with_namespace));
  return node(Expr::Kind::tuple, std::move(items));
}

Statement Parser::assign() {
  Statement made{.kind = Statement::Kind::assign};
  made.targets.push_back(target(true));
  if (skip_op("=")) {
    made.expressions.push_back(tuple(true));
    end_block();
    return made;
  }
  made.kind = Statement::Kind::assign_body;
  Expr inner = node(Expr::Kind::name);  // stands for the text of the body
  while (skip_op("|")) inner = filter(std::move(inner));
  made.expressions.push_back(std::move(inner));
  end_block();
  made.bodies.push_back(body({"endset"}));
  take();
  end_block();
  return made;
}

void Parser::signature(Macro& macro) {
  expect_op("(");
  while (!is_op(")")) {
    const std::string name = expect_name();
    macro.parameters.push_back(symbol(name));
    macro.names.push_back(name);
    if (skip_op("="))
      macro.defaults.push_back(expression());
    else if (!macro.defaults.empty())
      fail("a parameter without a default stands after one with");
    if (!skip_op(",")) break;
  }
  expect_op(")");
}

void Parser::macro_body(Statement& made, std::string_view end) {
  ++macros_;
  open_macros_.push_back(&made.macro);
  made.bodies.push_back(body({end}));
  open_macros_.pop_back();
  take();
  end_block();
}

Statement Parser::macro() {
  Statement made{.kind = Statement::Kind::macro};
  made.macro.name = expect_name();
  made.symbol = symbol(made.macro.name);
  signature(made.macro);
  end_block();
  macro_body(made, "endmacro");
  return made;
}

Statement Parser::call_block() {
  Statement made{.kind = Statement::Kind::call};
  made.macro.name = "caller";
  if (is_op("(")) signature(made.macro);
  made.expressions.push_back(unary(true));
  if (made.expressions.front().kind != Expr::Kind::call) fail("call wants a call");
  end_block();
  macro_body(made, "endcall");
  return made;
}

Statement Parser::filter_block() {
  Statement made{.kind = Statement::Kind::filter};
  Expr inner = filter(node(Expr::Kind::name));
  while (skip_op("|")) inner = filter(std::move(inner));
  made.expressions.push_back(std::move(inner));
  end_block();
  made.bodies.push_back(body({"endfilter"}));
  take();
  end_block();
  return made;
}

Statement Parser::generation() {
  Statement made{.kind = Statement::Kind::generation};
  tree_.generation = true;
  end_block();
  made.bodies.push_back(body({"endgeneration"}));
  take();
  end_block();
  return made;
}

Statement Parser::with() {
  Statement made{.kind = Statement::Kind::with};
  while (peek().kind != Token::Kind::block_end) {
    if (!made.targets.empty()) expect_op(",");
    made.targets.push_back(target(false));
    expect_op("=");
    made.expressions.push_back(expression());
  }
  end_block();
  made.bodies.push_back(body({"endwith"}));
  take();
  end_block();
  return made;
}

}  // namespace finetune::jinja
